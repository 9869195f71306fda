package enginetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
)

// Compare plays one program on two engines, each in a new folder, and fails
// when their histories differ; it then shows a smaller program for which they
// do. When one of them cannot be opened again the program does not ask for it.
func Compare(tb testing.TB, p Program, a, b Factory) {
	tb.Helper()
	if a.CannotReopen != "" || b.CannotReopen != "" {
		p = p.withoutReopen()
	}
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	failure := func(p Program) string { return disagreement(ctx, tb, p, a, b) }
	if d := failure(p); d != "" {
		p, d = shrink(ctx, p, d, failure)
		tb.Errorf("the histories differ\n%s\nin the program\n%s", d, p)
	}
}

// disagreement says where the histories of a program first differ; empty when
// they do not.
func disagreement(ctx context.Context, tb testing.TB, p Program, a, b Factory) (d string) {
	ha, erra := Play(ctx, a, tb.TempDir(), p)
	_, errb := playWhile(ctx, b, tb.TempDir(), p[:len(ha)], func(i int, line string) bool {
		if ha[i] != line {
			d = fmt.Sprintf("at step %d, %s:\n\tone:   %s\n\tother: %s", i, p[i], ha[i], line)
		}
		return d == ""
	})
	if d == "" && (erra != nil || errb != nil) {
		d = fmt.Sprintf("in opening and closing:\n\tone:   %v\n\tother: %v", erra, errb)
	}
	return d
}

// tries bounds how long a failing program is looked into.
const tries = 300

// shrink leaves out whatever it can while the program still fails: halves
// first, then ever smaller parts.
func shrink(ctx context.Context, p Program, d string, failure func(Program) string) (Program, string) {
	n := 0
	for size := len(p) / 2; size > 0; size /= 2 {
		for i := 0; i+size <= len(p) && n < tries && ctx.Err() == nil; n++ {
			less := slices.Delete(slices.Clone(p), i, i+size)
			if f := failure(less); f != "" {
				p, d = less, f
			} else {
				i += size
			}
		}
	}
	return p, d
}
