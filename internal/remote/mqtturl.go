package remote

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"

	"omnibus/client/mqtt"
	"omnibus/dialect/mqtt/packet"
)

// isMQTT reports whether a URL is that of an MQTT broker. WebSockets carry other
// protocols too; the path tells.
func isMQTT(u *url.URL) bool {
	switch u.Scheme {
	case "mqtt", "mqtts":
		return true
	case "ws", "wss":
		return strings.HasSuffix(u.Path, "/mqtt")
	}
	return false
}

const (
	queryClientID = "client_id"
	queryVersion  = "version"
)

// parseMQTT reads a URL: the broker's, without what is ours alone, and what it says
// of the client. Its errors say what is wrong with it, and not which one it is.
func parseMQTT(u *url.URL) (broker string, o mqtt.Options, err error) {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", o, errors.New("its query cannot be read")
	}
	switch query.Get(queryVersion) {
	case "", "5", "5.0":
	case "3.1.1":
		o.Version = mqtt.V311
	default:
		return "", o, errors.New("the version is 5 or 3.1.1")
	}
	// At most 23 letters and digits, which every broker takes.
	o.ClientID = cmp.Or(query.Get(queryClientID), "omnibus"+rand.Text()[:16])
	if !packet.ValidString(o.ClientID) {
		return "", o, errors.New("the client_id must be UTF-8 of at most 65,535 bytes")
	}
	if password, _ := u.User.Password(); !packet.ValidString(u.User.Username()) || len(password) > 65_535 {
		return "", o, errors.New("the user name must be UTF-8, and neither it nor the password longer than 65,535 bytes")
	}
	bare := *u
	rest := maps.Clone(query)
	rest.Del(queryClientID)
	rest.Del(queryVersion)
	bare.RawQuery = rest.Encode()
	broker = bare.String()
	if strings.HasPrefix(u.Scheme, "ws") {
		return broker, o, nil // the rest of the query is for who serves the WebSocket
	}
	if u.Path != "" && u.Path != "/" {
		return "", o, errors.New("MQTT has no path; a topic is an argument of its own")
	}
	for key := range rest {
		return "", o, fmt.Errorf("nothing is known of %q; there are %s and %s", key, queryClientID, queryVersion)
	}
	return broker, o, nil
}
