package e2e_test

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"omnibus/bus"
)

// freePort is a port that was free a moment ago, for programs that cannot say which
// they were given.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// mosquittoAt starts the broker at a port, until the test ends or it is killed.
func mosquittoAt(t *testing.T, port string, settings ...string) *process {
	t.Helper()
	program := need(t, "mosquitto")
	file := filepath.Join(t.TempDir(), "mosquitto.conf")
	who, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	// Started by root it would become somebody who may not write here.
	lines := append([]string{"user " + who.Username, "listener " + port + " 127.0.0.1"}, settings...)
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, program, "-v", "-c", file)
	p.expect(t, "running")
	go func() { // what it says is not to hold it up
		for range p.lines {
			continue
		}
	}()
	return p
}

// bridged waits until a counter of a bridge has come to n.
func bridged(t *testing.T, b broker, name, counter string, n int64) {
	t.Helper()
	type status struct {
		Counters map[string]map[string]int64 `json:"counters"`
	}
	var last map[string]int64
	for late := time.Now().Add(patience); time.Now().Before(late); {
		s, err := bus.Call[status](t.Context(), b.bus, "omnibus.status")
		if err != nil {
			t.Fatal(err)
		}
		if last = s.Counters["bridge."+name]; last[counter] >= n {
			return
		}
		time.Sleep(10 * time.Millisecond) // real time: another process is awaited
	}
	t.Fatalf("%s did not come to %d: %v", counter, n, last)
}

func TestABridgeToMosquitto(t *testing.T) {
	for _, version := range []string{"5", "3.1.1"} {
		t.Run(version, func(t *testing.T) {
			port := freePort(t)
			mosquittoAt(t, port, "allow_anonymous true")
			b := serveHere(t, fmt.Sprintf("bridges=[{name: m, url: 'mqtt://127.0.0.1:%s', version: '%s', "+
				"in: [{filter: '#', qos: 2}], out: [{pattern: '#', qos: 2}]}]", port, version))
			bridged(t, b, "m", "subscriptions", 1)
			far := newMosquitto(t, mqttHow{URL: "mqtt://127.0.0.1:" + port, Version: version, Clean: true})
			far.subscribe(t, 2, "#")
			near := newMosquitto(t, mqttHow{URL: b.mqtt, Version: version, Clean: true})
			near.subscribe(t, 2, "#")
			heard := values[string](t, b.bus, "#")
			for qos := range 3 {
				far.publish(t, mqttMessage{Topic: "from/far", Payload: fmt.Sprint(qos), QoS: qos})
				near.publish(t, mqttMessage{Topic: "from/near", Payload: fmt.Sprint(qos), QoS: qos})
				// Each comes once on either side: what comes next is the next.
				var here, there, inside []string
				for range 2 {
					m := near.message(t)
					here = append(here, fmt.Sprintf("%s=%s %d", m.Topic, m.Payload, m.QoS))
					m = far.message(t)
					there = append(there, fmt.Sprintf("%s=%s %d", m.Topic, m.Payload, m.QoS))
					inside = append(inside, next(t, heard))
				}
				want := []string{fmt.Sprintf("from/far=%d %d", qos, qos), fmt.Sprintf("from/near=%d %d", qos, qos)}
				slices.Sort(here)
				slices.Sort(there)
				if !slices.Equal(here, want) || !slices.Equal(there, want) || !slices.Equal(inside, []string{fmt.Sprint(qos), fmt.Sprint(qos)}) {
					t.Errorf("here came %q, there %q, inside %q, want %q", here, there, inside, want)
				}
			}
		})
	}
}

func TestABridgeOutlivesMosquitto(t *testing.T) {
	port, dir := freePort(t), t.TempDir()
	keeps := []string{
		"allow_anonymous true", "persistence true", "persistence_location " + dir + "/", "autosave_on_changes true", "autosave_interval 1",
	}
	p := mosquittoAt(t, port, keeps...)
	b := serveHere(t, fmt.Sprintf("bridges=[{name: m, url: 'mqtt://127.0.0.1:%s', retry: 1s, in: [{filter: down/#}], out: [{pattern: up/#, qos: 2}]}]", port))
	bridged(t, b, "m", "subscriptions", 1)
	// Who listens there has a session that mosquitto keeps in a file.
	far := newMosquitto(t, mqttHow{URL: "mqtt://127.0.0.1:" + port, Version: "5", ID: "far", Expiry: 3600})
	far.subscribe(t, 2, "up/#")
	near := newMosquitto(t, mqttHow{URL: b.mqtt, Version: "5", Clean: true})
	late := time.Now().Add(patience)
	for kept := false; !kept; {
		if time.Now().After(late) {
			t.Fatal("mosquitto keeps nothing")
		}
		near.publish(t, mqttMessage{Topic: "up/before", Payload: "x", QoS: 1})
		far.message(t)
		info, err := os.Stat(filepath.Join(dir, "mosquitto.db"))
		kept = err == nil && info.Size() > 0
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	bridged(t, b, "m", "connections_lost", 1)
	var want []string
	for i := range 5 {
		for qos := range 3 {
			near.publish(t, mqttMessage{Topic: fmt.Sprintf("up/%d/%d", i, qos), Payload: "x", QoS: qos})
			if qos > 0 {
				want = append(want, fmt.Sprintf("up/%d/%d", i, qos))
			}
		}
	}
	bridged(t, b, "m", "messages_stored", 10)
	bridged(t, b, "m", "messages_dropped_away", 5)
	mosquittoAt(t, port, keeps...)
	var got []string
	for range want {
		got = append(got, far.message(t).Topic)
	}
	slices.Sort(got) // mosquitto passes QoS 2 on when it is released
	if !slices.Equal(got, want) {
		t.Errorf("there came %q, want %q", got, want)
	}
	bridged(t, b, "m", "subscriptions", 2)
	heard := values[string](t, b.bus, "down/#")
	newMosquitto(t, mqttHow{URL: "mqtt://127.0.0.1:" + port, Version: "5", Clean: true}).publish(t, mqttMessage{Topic: "down/a", Payload: "y", QoS: 1})
	if got := next(t, heard); got != "y" {
		t.Errorf("here came %q", got)
	}
}

func TestABridgeThatMosquittoRefusesSaysWhy(t *testing.T) {
	port, dir := freePort(t), t.TempDir()
	users, secret := filepath.Join(dir, "users"), filepath.Join(dir, "secret")
	if out, err := run(t, need(t, "mosquitto_passwd"), "-b", "-c", users, "omnibus", "right"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	mosquittoAt(t, port, "allow_anonymous false", "password_file "+users)
	serve := func(password string) *process {
		if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, p := serveProcess(t, "--set", fmt.Sprintf(
			"bridges=[{name: m, url: 'mqtt://127.0.0.1:%s', username: omnibus, password_file: '%s', in: [{filter: '#'}]}]", port, secret))
		return p
	}
	p := serve("wrong")
	line := p.expect(t, "cannot connect")
	for _, part := range []string{"bridge=m", `setting="username and password"`} {
		if !strings.Contains(line, part) {
			t.Errorf("the log does not say %s: %s", part, line)
		}
	}
	if status := p.terminate(t); status != 0 {
		t.Errorf("it ended with %d", status)
	}
	serve("right").expect(t, "the bridge is connected")
}

// TestTheExampleOfBridgesWorks runs what docs/bridges.md shows, on free ports and in
// a folder of its own.
func TestTheExampleOfBridgesWorks(t *testing.T) {
	shell := need(t, "sh")
	need(t, "mosquitto_pub")
	dir := t.TempDir()
	port := freePort(t)
	settings := blocks(t, "../docs/bridges.md", "yaml")[0]
	if err := os.WriteFile(filepath.Join(dir, "home.yaml"), []byte(strings.ReplaceAll(settings, ":1884", ":"+port)), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(strings.Join(blocks(t, "../docs/bridges.md", "sh"), "")), "\n")
	if len(lines) != 6 || !strings.HasPrefix(lines[0], "omnibus serve --mqtt") || lines[1] != "omnibus serve --config home.yaml" {
		t.Fatalf("this test does not know the commands of the page: %q", lines)
	}
	// The other broker: every other dialect is off, so that its ports are free.
	there := start(t, omnibus(t), "serve", "--mqtt", "127.0.0.1:"+port, "--set", "mqtt.websocket.listen=", "--web", "off", "--mycroft", "off")
	there.expect(t, "mqtt://")
	b, here := serveProcess(t, "--config", filepath.Join(dir, "home.yaml"))
	here.expect(t, "the bridge is connected")
	replace := strings.NewReplacer("omnibus ", omnibus(t)+" ", "127.0.0.1:1884", "127.0.0.1:"+port, "-p 1884", "-p "+port,
		"127.0.0.1:1883", strings.TrimPrefix(b.mqtt, "mqtt://"))
	t.Setenv("OMNIBUS_BROKER", b.web)
	var listeners []*process
	for _, line := range lines[2:4] {
		l := start(t, shell, "-c", "exec "+replace.Replace(line))
		listeners = append(listeners, l)
	}
	listeners[0].expect(t, "subscribed")
	listeners[1].expect(t, "subscribed")
	for i, line := range lines[4:] {
		if out, err := run(t, shell, "-c", replace.Replace(line)); err != nil {
			t.Errorf("%s: %v: %s", line, err, out)
		}
		listeners[i].expect(t, []string{"site/sensors/kitchen", "commands/light"}[i])
	}
}
