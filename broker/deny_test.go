package broker_test

import (
	"strings"
	"testing"

	"omnibus/auth"
	"omnibus/broker"
)

func TestDenyForbidsWhatItsRulesSayAndNothingElse(t *testing.T) {
	d, err := broker.NewDeny([]string{"publish secret/#", "subscribe test/nosubscribe", "receive  secret/**", "call regex:admin\\..*", "expose x"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		action auth.Action
		name   string
		want   bool
	}{
		{auth.Publish, "secret/a", false},
		{auth.Publish, "secret", false},
		{auth.Publish, "open/a", true},
		{auth.Subscribe, "secret/a", true},
		{auth.Subscribe, "test/nosubscribe", false},
		{auth.Subscribe, "test/#", true},
		{auth.Receive, "secret/a/b", false},
		{auth.Receive, "secretive", true},
		{auth.Call, "admin.stop", false},
		{auth.Call, "add", true},
		{auth.Expose, "x", false},
		{auth.Expose, "y", true},
	} {
		if got := d.Allow(&auth.Principal{Name: "ada"}, c.action, c.name); got != c.want {
			t.Errorf("%v %s: allowed is %v, want %v", c.action, c.name, got, c.want)
		}
	}
}

func TestDenyNamesEveryRuleThatIsWrong(t *testing.T) {
	_, err := broker.NewDeny([]string{"publish a", "shout a", "publish", "receive a/#/b", "admin x"})
	if err == nil {
		t.Fatal("all rules were taken")
	}
	for _, bad := range []string{`"shout a"`, `"publish"`, `"receive a/#/b"`, `"admin x"`} {
		if !strings.Contains(err.Error(), bad) {
			t.Errorf("%v does not name %s", err, bad)
		}
	}
}
