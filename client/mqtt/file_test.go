package mqtt_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"omnibus/client/mqtt"
)

func record(k mqtt.Kind, id uint16, text string) mqtt.Record {
	return mqtt.Record{Kind: k, ID: id, Version: mqtt.V5, Packet: []byte(text)}
}

func load(t *testing.T, path string) string {
	t.Helper()
	f, err := mqtt.OpenFile(path, false)
	noError(t, err)
	defer func() { noError(t, f.Close()) }()
	return loaded(t, f)
}

func loaded(t *testing.T, f *mqtt.File) string {
	t.Helper()
	records, err := f.Load()
	noError(t, err)
	var words []string
	for _, r := range records {
		words = append(words, fmt.Sprintf("%c%d=%s", r.Kind, r.ID, r.Packet))
	}
	return strings.Join(words, " ")
}

func TestFileKeepsWhatWasPut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "session")
	f, err := mqtt.OpenFile(path, true)
	noError(t, err)
	noError(t, f.Put(record(mqtt.Outgoing, 1, "one")))
	noError(t, f.Put(record(mqtt.Outgoing, 2, "two")))
	noError(t, f.Put(record(mqtt.Incoming, 1, "")))
	noError(t, f.Put(record(mqtt.Tried, 2, "")))
	noError(t, f.Put(record(mqtt.Outgoing, 3, "three")))
	noError(t, f.Delete(mqtt.Outgoing, 2))
	noError(t, f.Delete(mqtt.Outgoing, 9)) // which there is not
	noError(t, f.Put(record(mqtt.Outgoing, 1, "")))
	noError(t, f.Put(record(mqtt.Outgoing, 2, "again")))
	const want = "o1= i1= t2= o3=three o2=again"
	if got := loaded(t, f); got != want {
		t.Errorf("it has %s, want %s", got, want)
	}
	noError(t, f.Close())
	if got := load(t, path); got != want {
		t.Errorf("opened again it has %s, want %s", got, want)
	}
}

// A file that was cut anywhere has what was whole before, and goes on from there.
func TestFileSurvivesACutAtEveryByte(t *testing.T) {
	dir := t.TempDir()
	whole := []byte(mqtt.FileHeader)
	var ends []int
	for i := range 4 {
		ends = append(ends, len(whole))
		whole = mqtt.AppendRecord(whole, record(mqtt.Outgoing, uint16(i+1), strings.Repeat("x", i)), false)
	}
	for cut := range len(whole) {
		path := filepath.Join(dir, fmt.Sprint(cut))
		noError(t, os.WriteFile(path, whole[:cut], 0o600))
		f, err := mqtt.OpenFile(path, false)
		noError(t, err)
		noError(t, f.Put(record(mqtt.Outgoing, 9, "new")))
		noError(t, f.Close())
		want := ""
		for i, end := range ends[1:] {
			if cut >= end {
				want += fmt.Sprintf("o%d=%s ", i+1, strings.Repeat("x", i))
			}
		}
		if got := load(t, path); got != want+"o9=new" {
			t.Errorf("cut at %d it has %s, want %so9=new", cut, got, want)
		}
	}
}

func TestFileDoesNotGrowForEver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "session")
	f, err := mqtt.OpenFile(path, false)
	noError(t, err)
	noError(t, f.Put(record(mqtt.Outgoing, 1, "stays")))
	text := strings.Repeat("x", 1000)
	for range 5000 {
		noError(t, f.Put(record(mqtt.Outgoing, 2, text)))
		noError(t, f.Delete(mqtt.Outgoing, 2))
	}
	noError(t, f.Close())
	info, err := os.Stat(path)
	noError(t, err)
	if info.Size() > 1<<20+10_000 {
		t.Errorf("the file has %d bytes", info.Size())
	}
	if got := load(t, path); got != "o1=stays" {
		t.Errorf("it has %s", got)
	}
	left, err := filepath.Glob(path + "*")
	noError(t, err)
	if len(left) != 1 {
		t.Errorf("files left over: %v", left)
	}
}

func TestFileThatIsSomethingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes")
	noError(t, os.WriteFile(path, []byte("buy milk, bread and butter"), 0o600))
	if _, err := mqtt.OpenFile(path, false); err == nil || !strings.Contains(err.Error(), "something else") {
		t.Errorf("got %v", err)
	}
	if _, err := mqtt.OpenFile(filepath.Join(path, "x"), false); err == nil {
		t.Error("a path that cannot be opens")
	}
}

// FuzzReplay: whatever a file has, reading it ends, allocates little, and writing what it kept gives the same again.
func FuzzReplay(f *testing.F) {
	one := mqtt.AppendRecord(nil, record(mqtt.Outgoing, 7, "packet"), false)
	f.Add(one)
	f.Add(mqtt.AppendRecord(one, record(mqtt.Outgoing, 7, ""), true))
	f.Add(mqtt.AppendRecord(one, record(mqtt.Incoming, 8, ""), false))
	f.Fuzz(func(t *testing.T, data []byte) {
		live, used := mqtt.Replay(data)
		if used > len(data) {
			t.Fatalf("%d of %d bytes are used", used, len(data))
		}
		var again []byte
		for _, r := range live {
			again = mqtt.AppendRecord(again, r, false)
		}
		if len(again) > used {
			t.Errorf("%d bytes have become %d", used, len(again))
		}
		if other, n := mqtt.Replay(again); n != len(again) || !reflect.DeepEqual(other, live) {
			t.Errorf("read again it is %v, want %v", other, live)
		}
	})
}
