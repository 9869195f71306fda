package e2e_test

import (
	"os"
	"testing"
)

func TestConfigurationPageIsCurrent(t *testing.T) {
	want, err := run(t, omnibus(t), "config", "reference")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/config.md is not what omnibus config reference prints; run make docs")
	}
}
