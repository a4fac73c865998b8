package main

import (
	"bytes"
	"regexp"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extensionast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/util"
)

// markdown reads GitHub's Markdown. What it writes holds no HTML of a page's own but line breaks, and loads nothing.
func markdown() goldmark.Markdown {
	return goldmark.New(
		goldmark.WithExtensions(extension.GFM),
		goldmark.WithParserOptions(parser.WithAutoHeadingID()),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(&parts{}, 100))),
	)
}

// parts writes what differs from plain HTML.
type parts struct{}

// RegisterFuncs implements renderer.NodeRenderer.
func (r *parts) RegisterFuncs(reg renderer.NodeRendererFuncRegisterer) {
	reg.Register(ast.KindHeading, heading)
	reg.Register(ast.KindHTMLBlock, htmlBlock)
	reg.Register(ast.KindRawHTML, rawHTML)
	reg.Register(ast.KindImage, image)
	reg.Register(extensionast.KindTable, table)
}

// heading has a link to itself.
func heading(w util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	level := byte('0' + node.(*ast.Heading).Level)
	value, _ := node.AttributeString("id")
	id, _ := value.([]byte)
	if entering {
		_, _ = w.WriteString("<h" + string(level) + ` id="` + string(util.EscapeHTML(id)) + `">`)
		return ast.WalkContinue, nil
	}
	_, _ = w.WriteString(` <a class="anchor" href="#` + string(util.EscapeHTML(id)) + `" aria-label="Link to this section">#</a></h` + string(level) + ">\n")
	return ast.WalkContinue, nil
}

// htmlBlock leaves comments out, and shows anything else as text.
func htmlBlock(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n := node.(*ast.HTMLBlock)
	if !entering || n.HTMLBlockType == ast.HTMLBlockType2 {
		return ast.WalkSkipChildren, nil
	}
	text := n.Lines().Value(source)
	if n.HasClosure() {
		text = append(bytes.Clone(text), n.ClosureLine.Value(source)...)
	}
	_, _ = w.WriteString("<p>" + string(util.EscapeHTML(text)) + "</p>\n")
	return ast.WalkSkipChildren, nil
}

var lineBreak = regexp.MustCompile(`^<br\s*/?>$`)

// rawHTML is a line break, a comment, which is left out, or text.
func rawHTML(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	text := node.(*ast.RawHTML).Segments.Value(source)
	switch {
	case lineBreak.Match(text):
		_, _ = w.WriteString("<br>")
	case !bytes.HasPrefix(text, []byte("<!--")):
		_, _ = w.Write(util.EscapeHTML(text))
	}
	return ast.WalkSkipChildren, nil
}

// image is a link where the picture is somebody else's: the site loads nothing from elsewhere.
func image(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	n := node.(*ast.Image)
	to, alt := string(util.EscapeHTML(util.URLEscape(n.Destination, true))), string(util.EscapeHTML([]byte(plain(n, source))))
	if external(string(n.Destination)) {
		_, _ = w.WriteString(`<a href="` + to + `">` + alt + `</a>`)
	} else {
		_, _ = w.WriteString(`<img src="` + to + `" alt="` + alt + `">`)
	}
	return ast.WalkSkipChildren, nil
}

// table can be scrolled by itself on a narrow screen.
func table(w util.BufWriter, _ []byte, _ ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		_, _ = w.WriteString(`<div class="table" tabindex="0"><table>` + "\n")
	} else {
		_, _ = w.WriteString("</table></div>\n")
	}
	return ast.WalkContinue, nil
}
