package browser_test

import (
	"strings"
	"testing"
)

// On a small phone nothing is wider than the screen, however long its words are, and what is tapped is not tiny.
func TestPhone(t *testing.T) {
	s, p := newStage(t), openTab(t)
	p.size(360, 640)
	long := strings.Repeat("Donaudampfschifffahrt", 30)
	user := strings.Repeat("W", 64)
	s.begin(user, long)
	quoted := s.says(user, "https://shop.example/"+strings.Repeat("a", 400))
	if code, _ := s.answers(user, map[string]any{
		"message_type": "TEXT", "text": map[string]any{"body": long}, "referenced_message_info": map[string]any{"referenced_message_id": quoted},
	}); code != 0 {
		t.Fatalf("code %d", code)
	}
	s.asks(user, strings.Repeat("M", 40), strings.Repeat("M", 40), "OK")
	for name, address := range map[string]string{
		"home": s.url + "/", "nobody": s.url + "/user", "conversation": s.page(user), "no business": s.url + "/user?business=" + strings.Repeat("x", 300),
		"consent": s.url + "/v2/auth/authorize?client_key=sim-app&response_type=code&state=s&redirect_uri=http://127.0.0.1:1/&scope=user.info.basic",
	} {
		t.Run(name, func(t *testing.T) {
			if name == "no business" {
				p.refused()
			}
			p.open(address)
			p.fits(t)
		})
	}
	p.open(s.page(user))
	s.listens(false)
	p.fill("textbox", "Text", long)
	p.refused()
	p.press("button", "Send the text")
	p.fits(t)
}

func (p *tab) fits(t *testing.T) {
	t.Helper()
	if size := eval[[]int](p, `[innerWidth, document.documentElement.scrollWidth]`); size[0] != 360 || size[1] > size[0] {
		t.Errorf("the page is %d wide on a screen of %d", size[1], size[0])
	}
	wide := eval[[]string](p, `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + .5 ||
		e.getBoundingClientRect().left < -.5).map(e => e.outerHTML.slice(0, 120))`)
	for _, element := range wide {
		t.Errorf("beyond the screen: %s", element)
	}
	tiny := eval[[]string](p, `[...document.querySelectorAll("button, textarea, input:not([type=hidden]):not([type=radio]):not([type=checkbox])")].
		filter(e => e.getBoundingClientRect().height < 24 || e.getBoundingClientRect().width < 24).map(e => e.outerHTML.slice(0, 120))`)
	for _, element := range tiny {
		t.Errorf("too small to be tapped: %s", element)
	}
}
