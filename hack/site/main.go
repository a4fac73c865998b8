// Command site makes a static site of the documentation: every page of docs, and the README, CONTRIBUTING and CHANGELOG beside it. It fails,
// and says where, if a link leads nowhere or a page is not in the navigation.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	root := flag.String("root", "../..", "the checkout")
	out := flag.String("out", "../../bin/site", "the folder that the site is written to; what is in it goes")
	flag.Parse()
	s, err := load(*root)
	if err == nil {
		err = s.write(*out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%d pages in %s\n", len(s.pages), *out)
}
