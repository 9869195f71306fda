// Package buildinfo tells which version of the program this is.
package buildinfo

import (
	"regexp"
	"runtime/debug"
	"strings"
)

// version is the one that is being worked on.
const version = "0.1.0"

// Version returns the version without a "v" in front: that of the module when
// the program was built from a release, else the one that is being worked on.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version
	}
	return Release(info.Main.Version)
}

// releases have no time of a commit in them and no mark of local changes.
var releases = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+(-(alpha|beta|rc)[0-9.]*)?$`)

// Release returns the version that a module's version stands for: its own when
// it is a release, else the one that is being worked on.
func Release(module string) string {
	if !releases.MatchString(module) {
		return version
	}
	return strings.TrimPrefix(module, "v")
}
