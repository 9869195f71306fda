package bench

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// WriteText writes the report as tables for people.
func (r *Report) WriteText(w io.Writer) error {
	var out strings.Builder
	for _, t := range tables {
		r.table(&out, t)
	}
	r.remarks(&out)
	_, err := io.WriteString(w, out.String())
	return err
}

// table is a kind of figures: its columns, and the cells of a broker, nil if it
// has no such figures.
type table struct {
	title   string
	columns []string
	cells   func(c *Contrast) []string
}

// Columns of ratios have this name, and are left out for a single broker.
const ratioColumn = "ratio"

var tables = []table{
	{
		"traffic",
		[]string{"deliveries/s", ratioColumn, "broker µs each", ratioColumn, "resident", "peak", "lost", "own µs each"},
		func(c *Contrast) []string {
			t := c.Median.Traffic
			if t == nil {
				return nil
			}
			resident, peak := "?", "?"
			if m := c.Median.Memory; m != nil {
				resident, peak = megabytes(m.Resident), megabytes(m.Peak)
			}
			return []string{
				grouped(int64(t.Rate)), times(c.Ratios.Rate), micro(t.BrokerCPU), times(c.Ratios.CPU),
				resident, peak, grouped(t.Lost), micro(t.OwnCPU),
			}
		},
	},
	{
		"round trip, µs",
		[]string{"p50", ratioColumn, "p90", "p99", ratioColumn, "p99.9", "max", "sent late"},
		func(c *Contrast) []string {
			t := c.Median.RoundTrip
			if t == nil {
				return nil
			}
			return []string{
				whole(t.P50), times(c.Ratios.P50), whole(t.P90), whole(t.P99), times(c.Ratios.P99), whole(t.P999), whole(t.Max), whole(t.Late),
			}
		},
	},
	{
		"memory",
		[]string{"items", "grown by", "bytes each", ratioColumn},
		func(c *Contrast) []string {
			g := c.Median.Growth
			if g == nil {
				return nil
			}
			return []string{grouped(g.Items), megabytes(g.Bytes), grouped(int64(g.Each)), times(c.Ratios.Each)}
		},
	},
	{
		"a subscriber that never reads",
		[]string{"deliveries/s without it", "kept with it", "grown by"},
		func(c *Contrast) []string {
			s := c.Median.Stuck
			if s == nil {
				return nil
			}
			return []string{grouped(int64(s.Healthy)), strconv.FormatFloat(100*s.Kept, 'f', 0, 64) + " %", megabytes(s.Bytes)}
		},
	},
}

// table writes one, if there is anything in it.
func (r *Report) table(out *strings.Builder, t table) {
	alone := len(r.Brokers) == 1
	var rows [][]string
	for i := range r.Scenarios {
		s := &r.Scenarios[i]
		name := s.Name
		for j := range s.Brokers {
			cells := t.cells(&s.Brokers[j])
			if cells == nil {
				continue
			}
			row := []string{name}
			if name = ""; !alone {
				row = append(row, r.Brokers[j])
			}
			rows = append(rows, append(row, t.visible(cells, alone)...))
		}
	}
	if len(rows) == 0 {
		return
	}
	head := []string{t.title}
	if !alone {
		head = append(head, "broker")
	}
	if out.Len() > 0 {
		out.WriteByte('\n')
	}
	names := len(head)
	write(out, names, append([][]string{append(head, t.visible(t.columns, alone)...)}, rows...))
}

// visible leaves out the ratios of a broker that is alone.
func (t *table) visible(cells []string, alone bool) []string {
	var shown []string
	for i, c := range cells {
		if !alone || t.columns[i] != ratioColumn {
			shown = append(shown, c)
		}
	}
	return shown
}

// write aligns the first cells of each row, which are names, to the left and the
// others to the right.
func write(out *strings.Builder, names int, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, row := range rows {
		for i, c := range row {
			if i > 0 {
				out.WriteString("  ")
			}
			fill := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if i < names {
				out.WriteString(c + fill)
			} else {
				out.WriteString(fill + c)
			}
		}
		out.WriteByte('\n')
	}
}

// remarks writes what failed, and the notes, each once.
func (r *Report) remarks(out *strings.Builder) {
	var lines []string
	seen := make(map[string]bool)
	for _, s := range r.Scenarios {
		for j, b := range s.Brokers {
			if b.Median.Error != "" {
				lines = append(lines, fmt.Sprintf("%s, %s: %s", s.Name, r.Brokers[j], b.Median.Error))
			}
			for _, n := range b.Median.Notes {
				if line := r.Brokers[j] + ": " + n; !seen[line] {
					seen[line] = true
					lines = append(lines, s.Name+", "+line)
				}
			}
		}
	}
	if len(lines) == 0 {
		return
	}
	if out.Len() > 0 {
		out.WriteByte('\n')
	}
	out.WriteString(strings.Join(lines, "\n") + "\n")
}

// line is a result in short.
func (r *Result) line() string {
	text := r.Scenario + ", " + r.Broker
	switch {
	case r.Error != "":
		return text + ": " + r.Error
	case r.RoundTrip != nil:
		return fmt.Sprintf("%s: p50 %s µs, p99 %s µs", text, whole(r.RoundTrip.P50), whole(r.RoundTrip.P99))
	case r.Traffic != nil:
		return fmt.Sprintf("%s: %s deliveries/s, %s µs each", text, grouped(int64(r.Traffic.Rate)), micro(r.Traffic.BrokerCPU))
	case r.Growth != nil:
		return fmt.Sprintf("%s: %s bytes each", text, grouped(int64(r.Growth.Each)))
	}
	return text
}

// grouped writes a number with a comma after every three digits.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(text) - 3; i > first; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// micro writes microseconds, or that they are not known.
func micro(us float64) string {
	if us == 0 {
		return "?"
	}
	return fmt.Sprintf("%.2f", us)
}

func whole(us float64) string { return grouped(int64(us + 0.5)) }

func times(r float64) string {
	if r == 0 {
		return "?"
	}
	return fmt.Sprintf("%.2f", r)
}
