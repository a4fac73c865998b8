// Command ingress passes requests on, as an ingress does: from this pod's localhost, the one place that may be reached without TLS, to a Service.
package main

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"
)

func main() {
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: os.Args[1]})
		r.Out.Host = r.In.Host
	}}
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: proxy, ReadHeaderTimeout: 5 * time.Second}
	if err := server.ListenAndServe(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
