package auth_test

import (
	"errors"
	"net"
	"strings"
	"testing"

	"omnibus/auth"
)

var (
	_ auth.Authenticator = auth.Open{}
	_ auth.Authorizer    = auth.Open{}
)

// actions is one more than there are.
const actions = auth.Admin + 1

func TestActionsHaveTheNamesOfAccessRules(t *testing.T) {
	names := map[auth.Action]string{
		auth.Publish: "publish", auth.Subscribe: "subscribe", auth.Receive: "receive",
		auth.Call: "call", auth.Expose: "expose", auth.Admin: "admin",
	}
	for a := range actions {
		if got := a.String(); got == "" || got != names[a] {
			t.Errorf("action %d is %q, want %q", a, got, names[a])
		}
	}
	for _, a := range []auth.Action{actions, 255} {
		if got := a.String(); got != "unknown action" {
			t.Errorf("action %d is %q, want it unknown", a, got)
		}
	}
}

func TestOpenAdmitsEverybodyUnderTheNameTheyGive(t *testing.T) {
	for _, c := range []auth.Credentials{
		{},
		{Dialect: "mqtt", Name: "sensor-7"},
		{Dialect: "rembus", Name: "comp", Username: "admin", Password: []byte("wrong"), Data: []byte{1}},
		{Name: "far", Remote: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}},
	} {
		talk, err := auth.Open{}.Begin(t.Context(), &c)
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		for _, proof := range [][]byte{nil, []byte("whatever")} {
			challenge, p, err := talk.Next(t.Context(), proof)
			if err != nil || challenge != nil || p == nil {
				t.Errorf("%+v: challenge %q, principal %v, %v", c, challenge, p, err)
				continue
			}
			if p.Name != c.Name || p.Tenant != "" || len(p.Groups) > 0 {
				t.Errorf("%+v: admitted as %+v, want the name, the default tenant and no groups", c, *p)
			}
		}
	}
}

func TestOpenAllowsEverything(t *testing.T) {
	for a := range actions {
		for _, p := range []*auth.Principal{nil, {}, {Name: "n", Tenant: "t"}} {
			for _, name := range []string{"", "a/b", "#", "$SYS/x"} {
				if !(auth.Open{}).Allow(p, a, name) {
					t.Errorf("%s on %q by %v is refused", a, name, p)
				}
			}
		}
	}
}

func TestAdmittedIsOverAtOnceAndKeepsItsOwnPrincipal(t *testing.T) {
	given := auth.Principal{Name: "n", Tenant: "t", Groups: []string{"g"}}
	talk := auth.Admitted(given)
	given.Name = "changed"
	challenge, p, err := talk.Next(t.Context(), nil)
	if err != nil || challenge != nil || p == nil || p.Name != "n" || p.Tenant != "t" || len(p.Groups) != 1 {
		t.Fatalf("challenge %q, principal %+v, %v", challenge, p, err)
	}
	if _, other, err := auth.Admitted(given).Next(t.Context(), nil); err != nil || other == p {
		t.Errorf("two logins share one principal, %v", err)
	}
}

func TestOpenHasNoMethods(t *testing.T) {
	_, err := auth.Open{}.Begin(t.Context(), &auth.Credentials{Dialect: "rembus", Name: "comp", Method: "rsa"})
	if !errors.Is(err, auth.ErrMethod) || !errors.Is(err, auth.ErrDenied) || !strings.Contains(err.Error(), `"rsa"`) {
		t.Errorf("got %v, want the method refused by its name", err)
	}
}
