package mycroft_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"omnibus/auth"
	"omnibus/broker"
	"omnibus/carrier"
	"omnibus/dialect/mycroft"
)

// upgrade asks for a WebSocket as a page of an origin does and returns the answer.
func upgrade(t *testing.T, s *server, name, origin string) (status int, body string) {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", host(s.url))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	request := strings.Replace(handshake, "Host: x\r\n", "Host: "+name+"\r\nOrigin: "+origin+"\r\n", 1)
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return answer.StatusCode, ""
	}
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

func TestPagesOfOtherSitesCannotConnect(t *testing.T) {
	for name, c := range map[string]struct {
		allowed      []string
		host, origin string
		status       int
	}{
		"client library":            {nil, "127.0.0.1:8181", "http://127.0.0.1:8181", 101},
		"client library by default": {nil, "0.0.0.0:8181", "http://0.0.0.0:8181", 101},
		"page of this machine":      {nil, "127.0.0.1:8181", "http://localhost:3000", 101},
		"another site":              {nil, "127.0.0.1:8181", "https://evil.example", 403},
		"name that points here":     {nil, "evil.example:8181", "http://evil.example:8181", 403},
		"allowed":                   {[]string{"https://panel.example"}, "127.0.0.1:8181", "https://panel.example", 101},
		"allowed is another":        {[]string{"https://panel.example"}, "127.0.0.1:8181", "https://evil.example", 403},
		"all are allowed":           {[]string{"*"}, "evil.example:8181", "https://evil.example", 101},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, broker.Options{}, func(o *mycroft.Config) { o.Origins = c.allowed })
			status, body := upgrade(t, s, c.host, c.origin)
			refused := int64(0)
			if c.status == 403 {
				refused = 1
			}
			if status != c.status || refused == 1 && !strings.Contains(body, "evil.example") {
				t.Errorf("answered %d, %q", status, body)
			}
			// The counter is raised after the answer.
			s.stop()
			if n := s.counted("handshakes_cross_site"); n != refused {
				t.Errorf("counted %d, want %d", n, refused)
			}
		})
	}
}

// logins admits everybody, the first client to the hub's tenant and all others
// to another, and remembers what they said of themselves.
type logins struct {
	mu   sync.Mutex
	seen []auth.Credentials
}

func (l *logins) Begin(_ context.Context, c *auth.Credentials) (auth.Conversation, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, *c)
	if len(l.seen) > 1 {
		return auth.Admitted(auth.Principal{Tenant: "other"}), nil
	}
	return auth.Admitted(auth.Principal{}), nil
}

func TestAClientOfAnotherTenantIsRefused(t *testing.T) {
	doors := new(logins)
	s := start(t, broker.Options{Auth: doors, Limits: broker.Limits{Peers: 3}}, nil)
	c := s.connect(t)
	const others = 5 // more than there is room for, did they not leave
	for range others {
		ws, err := carrier.DialWebSocket(t.Context(), s.url, nil, carrier.WebSocketOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, frame, err := ws.Read()
		if closed, ok := errors.AsType[*carrier.CloseError](err); !ok || closed.Code != carrier.ClosePolicy || closed.Reason != "refused" {
			t.Errorf("it got %q and ended by %v, want close code 1008 and the reason", frame, err)
		}
		_ = ws.Drop()
	}
	if n := s.counted("clients_refused"); n != others {
		t.Errorf("counted %d refused clients, want %d", n, others)
	}
	c.send(t, `{"type":"a"}`)
	c.expect(t, `{"type":"a"}`)
}

func TestClientsOfALoopbackListenerAreLocal(t *testing.T) {
	doors := new(logins)
	s := start(t, broker.Options{Auth: doors}, nil)
	s.connect(t)
	doors.mu.Lock()
	defer doors.mu.Unlock()
	if len(doors.seen) != 1 || !doors.seen[0].Loopback || doors.seen[0].Remote == nil {
		t.Errorf("the clients said %+v of themselves", doors.seen)
	}
}
