package buildinfo_test

import (
	"testing"

	"omnibus/internal/buildinfo"
)

func TestReleaseTakesOnlyReleases(t *testing.T) {
	working := buildinfo.Release("")
	for module, want := range map[string]string{
		"v1.2.3":                               "1.2.3",
		"v0.10.0-rc.1":                         "0.10.0-rc.1",
		"v2.0.0-beta2":                         "2.0.0-beta2",
		"(devel)":                              working,
		"v0.0.0-20260102030405-0123456789ab":   working,
		"v1.2.4-0.20260102030405-0123456789ab": working,
		"v1.2.3+dirty":                         working,
		"v1.2.3-rc.1.0.20260102030405-0123456789a": working,
	} {
		if got := buildinfo.Release(module); got != want {
			t.Errorf("Release(%q) = %q, want %q", module, got, want)
		}
	}
}

func TestVersionOfATestBinaryIsTheOneBeingWorkedOn(t *testing.T) {
	if got, want := buildinfo.Version(), buildinfo.Release("(devel)"); got != want || got == "" {
		t.Errorf("Version() = %q, want %q", got, want)
	}
}
