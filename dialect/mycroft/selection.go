package mycroft

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"omnibus/topic"
)

// queryTypes is the parameter of the URL by which a client asks for some types.
const queryTypes = "types"

// selection is what a client has asked for.
type selection struct {
	patterns []topic.Pattern
}

// newSelection reads types and patterns of them: '*' stands for any characters,
// and the prefixes of topic.Parse mean what they mean there.
func newSelection(types []string, limit int) (*selection, error) {
	if len(types) > limit {
		return nil, fmt.Errorf("%d types are more than a client may ask for; the limit is %d (mycroft.max_patterns)", len(types), limit)
	}
	var s selection
	var errs []error
	for _, text := range types {
		p, err := typePattern(text)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%q: %w", text, err))
		case !slices.ContainsFunc(s.patterns, p.Equal):
			s.patterns = append(s.patterns, p)
		}
	}
	return &s, errors.Join(errs...)
}

func typePattern(text string) (topic.Pattern, error) {
	for _, kind := range []topic.Kind{topic.Exact, topic.Filter, topic.Space, topic.Regex} {
		if strings.HasPrefix(text, kind.String()+":") {
			return topic.Parse(text)
		}
	}
	if !strings.Contains(text, "*") {
		return topic.NewExact(text)
	}
	parts := strings.Split(text, "*")
	for i, p := range parts {
		parts[i] = regexp.QuoteMeta(p)
	}
	return topic.NewRegex(strings.Join(parts, "(?s:.*)"))
}

// selectionOf reads what the URL of a connection asks for; nil is everything.
func selectionOf(u *url.URL, limit int) (*selection, error) {
	asked, ok := u.Query()[queryTypes]
	if !ok {
		return nil, nil
	}
	var types []string
	for _, list := range asked {
		for text := range strings.SplitSeq(list, ",") {
			if text = strings.TrimSpace(text); text != "" {
				types = append(types, text)
			}
		}
	}
	return newSelection(types, limit)
}

// wants reports whether a type is among those asked for.
func (s *selection) wants(typ string) bool {
	return slices.ContainsFunc(s.patterns, func(p topic.Pattern) bool { return p.Match(typ) })
}
