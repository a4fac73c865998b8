package dashboard

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func source(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "monitoring", "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// decode reads a dashboard as Grafana's schema has it: a field that the schema does not know is a mistake, in the options of a panel too, and so
// is one that the schema asks for and is not there.
func decode(text string) error {
	plugins.RegisterDefaultPlugins()
	d := dashboard.Dashboard{}
	if err := d.UnmarshalJSONStrict([]byte(text)); mistaken(err) {
		return err
	}
	if err := d.Validate(); mistaken(err) {
		return err
	}
	return decodeFields(text)
}

// decodeFields reads what the SDK reads leniently: the panels' fieldConfig, but for its custom part.
func decodeFields(text string) error {
	var d struct {
		Panels []struct{ Title, FieldConfig json.RawMessage }
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return err
	}
	for _, p := range d.Panels {
		c := dashboard.FieldConfigSource{}
		if err := c.UnmarshalJSONStrict(p.FieldConfig); mistaken(err) {
			return fmt.Errorf("fieldConfig of %s: %w", p.Title, err)
		}
	}
	return nil
}

// mistaken says whether there is anything in an error: where nothing is wrong, the SDK may return a list of no mistakes.
func mistaken(err error) bool {
	var list cog.BuildErrors
	return err != nil && (!errors.As(err, &list) || len(list) > 0)
}

func TestDashboardIsOneByGrafanasSchema(t *testing.T) {
	if err := decode(source(t)); err != nil {
		t.Error(err)
	}
}

// TestMistakesAreSeen misspells fields at every depth.
func TestMistakesAreSeen(t *testing.T) {
	text := source(t)
	for _, field := range []string{
		"schemaVersion", "graphTooltip", "fieldConfig", "defaults", "overrides", "thresholds", "options", "legend", "reduceOptions", "gridPos",
		"expr", "legendFormat", "templating", "includeAll", "annotations", "targetBlank", "custom", "fillOpacity", "unit",
	} {
		t.Run(field, func(t *testing.T) {
			wrong := strings.Replace(text, `"`+field+`":`, `"`+field+`s":`, 1)
			if wrong == text {
				t.Fatal("the dashboard has no such field")
			}
			if err := decode(wrong); err == nil {
				t.Error("a misspelled field passes")
			}
		})
	}
}
