package mqtttest_test

import (
	"io/fs"
	"path"
	"strings"
	"testing"

	"omnibus/dialect/mqtt/mqtttest"
)

// Whatever stands in a file, it is read or refused with the line.
func FuzzParse(f *testing.F) {
	err := fs.WalkDir(transcriptsFS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".txt" {
			return err
		}
		text, err := fs.ReadFile(transcriptsFS(), name)
		f.Add(string(text))
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		scripts, err := mqtttest.Parse("script", text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "script.txt") {
				t.Errorf("the error does not say where: %v", err)
			}
			return
		}
		if len(scripts) == 0 {
			t.Error("there is neither a script nor an error")
		}
	})
}
