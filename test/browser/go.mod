module github.com/tiktok-operator/tiktok-operator/test/browser

go 1.26.0

replace github.com/tiktok-operator/tiktok-operator => ../..

require (
	github.com/chromedp/cdproto v0.159.0
	github.com/chromedp/chromedp v0.23.0
	github.com/tiktok-operator/tiktok-operator v0.0.0-00010101000000-000000000000
	k8s.io/utils v0.0.0-20261023123148-ca04ba58ecab
)

require (
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/go-logr/logr v1.4.4 // indirect
	golang.org/x/time v0.16.0 // indirect
)
