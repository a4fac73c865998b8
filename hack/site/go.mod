// The program that makes the documentation's site: make site.
module github.com/tiktok-operator/tiktok-operator/hack/site

go 1.26.0

require github.com/yuin/goldmark v1.8.7
