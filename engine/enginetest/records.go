package enginetest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"

	"omnibus/engine"
)

var recordCases = []Case{
	case1("records are replaced, deleted and told", putDelete),
	case1("tables are apart", tablesApart),
	case1("records are as they were", recordsAsTheyWere),
	case1("the caller may change a record's buffer", recordBuffers),
	case1("many records", manyRecords),
	case1("records of a mebibyte are accepted", largeRecords),
	case1("larger records are stored whole or refused as too large", largerRecords),
	case1("loading stops at an error and returns it", loadStops),
	case1("who is told records may use the engine", loadUses),
	case1("records told while others write are whole", iterateUnderWriters),
	case1("writers of one key do not mix", writersOfOneKey),
	case1("sync returns", syncReturns),
}

func (o *opened) wantRecords(t engine.Table, want map[string]string) {
	o.Helper()
	got := o.list(t)
	if maps.Equal(got, want) {
		return
	}
	for k, v := range want {
		if g, ok := got[k]; !ok || g != v {
			o.Errorf("table %s: %.80q is %.80q, %v; want %.80q", t, k, g, ok, v)
		}
	}
	for k, v := range got {
		if _, ok := want[k]; !ok {
			o.Errorf("table %s: there is %.80q, %.80q, which should not be there", t, k, v)
		}
	}
}

func putDelete(o *opened) {
	for _, t := range tables {
		o.wantRecords(t, nil)
		o.delete(t, "a") // that there is none is no error
		o.put(t, "a", "1")
		o.put(t, "b", "2")
		o.wantRecords(t, map[string]string{"a": "1", "b": "2"})
		o.put(t, "a", "a longer value than before")
		o.delete(t, "b")
		o.delete(t, "b")
		o.wantRecords(t, map[string]string{"a": "a longer value than before"})
		o.put(t, "b", "again")
		o.put(t, "a", "")
		o.wantRecords(t, map[string]string{"a": "", "b": "again"})
		o.delete(t, "a")
		o.delete(t, "b")
		o.wantRecords(t, nil)
	}
}

func tablesApart(o *opened) {
	for _, t := range tables {
		o.put(t, "key", "of "+string(t))
	}
	o.delete(tables[0], "key")
	o.wantRecords(tables[0], nil)
	for _, t := range tables[1:] {
		o.wantRecords(t, map[string]string{"key": "of " + string(t)})
	}
}

func recordsAsTheyWere(o *opened) {
	want := make(map[string]string)
	for i, name := range append(oddNames(), strings.Repeat("k", 70_000)) {
		want[name] = fmt.Sprint(i, "\x00\xff")
	}
	want["empty"] = ""
	for k, v := range want {
		o.put(engine.Retained, k, v)
		o.put(engine.Sessions, k, k)
	}
	if err := o.Records().Put(engine.Rules, "nil", nil); err != nil {
		o.Fatalf("putting no bytes: %v", err)
	}
	o.wantRecords(engine.Retained, want)
	o.wantRecords(engine.Rules, map[string]string{"nil": ""})
	for k := range want {
		o.delete(engine.Retained, k)
		want[k] = k
	}
	o.wantRecords(engine.Retained, nil)
	o.wantRecords(engine.Sessions, want)
}

func recordBuffers(o *opened) {
	buf := []byte("value")
	if err := o.Records().Put(engine.Retained, "k", buf); err != nil {
		o.Fatal(err)
	}
	copy(buf, "XXXXX")
	var held []byte
	err := o.Records().Load(engine.Retained, func(_ string, v []byte) error {
		held = v
		return nil
	})
	if err != nil {
		o.Fatalf("loading: %v", err)
	}
	o.put(engine.Retained, "k", "other")
	if string(held) != "value" {
		o.Errorf("what was put as %q is %q", "value", held)
	}
	o.wantRecords(engine.Retained, map[string]string{"k": "other"})
}

func manyRecords(o *opened) {
	want := make(map[string]string)
	for i := range 2000 {
		k := "sensors/" + strconv.Itoa(i)
		o.put(engine.Retained, k, strconv.Itoa(i))
		if want[k] = strconv.Itoa(i); i%3 == 0 {
			o.delete(engine.Retained, k)
			delete(want, k)
		}
	}
	o.wantRecords(engine.Retained, want)
}

func largeRecords(o *opened) {
	want := map[string]string{
		"large":                     string(largeBytes(1, mebibyte)),
		"again":                     string(largeBytes(2, mebibyte)),
		strings.Repeat("k", 70_000): string(largeBytes(3, mebibyte)),
	}
	for k, v := range want {
		o.put(engine.Services, k, v)
	}
	o.wantRecords(engine.Services, want)
}

func largerRecords(o *opened) {
	want := make(map[string]string)
	for i, n := range []int{mebibyte + 1, 5 * mebibyte} {
		key, value := strconv.Itoa(i), largeBytes(i, n)
		want[key] = "the old one"
		o.put(engine.Rules, key, want[key])
		err := o.Records().Put(engine.Rules, key, value)
		switch {
		case err == nil:
			want[key] = string(value)
		case !errors.Is(err, engine.ErrTooLarge):
			o.Errorf("putting %d bytes: %v, want ErrTooLarge", n, err)
		}
		o.wantRecords(engine.Rules, want)
	}
}

func loadStops(o *opened) {
	const records = 10
	for i := range records {
		o.put(engine.Services, strconv.Itoa(i), "v")
	}
	for stop := 1; stop <= records; stop++ {
		mine, n := errors.New("mine"), 0
		err := o.Records().Load(engine.Services, func(string, []byte) error {
			if n++; n >= stop {
				return mine
			}
			return nil
		})
		if n != stop || !errors.Is(err, mine) {
			o.Errorf("failing at record %d of %d: told %d, %v; want the error of who was told", stop, records, n, err)
		}
	}
}

func loadUses(o *opened) {
	for i := range 10 {
		o.put(engine.Services, strconv.Itoa(i), "old")
	}
	err := o.Records().Load(engine.Services, func(k string, _ []byte) error {
		o.put(engine.Services, k, "new")
		o.put(engine.Keys, k, "copied")
		if k == "5" {
			o.delete(engine.Services, k)
		}
		o.append(numbered(0, 1)...)
		if got := o.list(engine.Keys); got[k] != "copied" {
			o.Errorf("while loading, %q is %q, want what was just put", k, got[k])
		}
		return nil
	})
	if err != nil {
		o.Errorf("loading: %v", err)
	}
	want, copied := make(map[string]string), make(map[string]string)
	for i := range 10 {
		want[strconv.Itoa(i)], copied[strconv.Itoa(i)] = "new", "copied"
	}
	delete(want, "5")
	o.wantRecords(engine.Services, want)
	o.wantRecords(engine.Keys, copied)
}

func iterateUnderWriters(o *opened) {
	const stable = 50
	for i := range stable {
		o.put(engine.Sessions, "stable"+strconv.Itoa(i), "s")
		o.put(engine.Sessions, "changed"+strconv.Itoa(i), strings.Repeat("0", 100))
	}
	var writer sync.WaitGroup
	writer.Go(func() {
		for n := range 40 * stable {
			key := strconv.Itoa(n % stable)
			err := o.Records().Put(engine.Sessions, "changed"+key, bytes.Repeat([]byte{byte('0' + n%10)}, 100+n%7))
			if err == nil && n%2 == 0 {
				err = o.Records().Put(engine.Sessions, "passing"+key, []byte("p"))
			} else if err == nil {
				err = o.Records().Delete(engine.Sessions, "passing"+strconv.Itoa((n-1)%stable))
			}
			if err != nil {
				o.Errorf("writing: %v", err)
				return
			}
		}
	})
	for range 20 {
		got := o.list(engine.Sessions)
		for i := range stable {
			if v, ok := got["stable"+strconv.Itoa(i)]; !ok || v != "s" {
				o.Errorf("a record that nobody touches is %q, %v", v, ok)
			}
			v, ok := got["changed"+strconv.Itoa(i)]
			if !ok || len(v) < 100 || strings.Trim(v, v[:1]) != "" {
				o.Errorf("a record that is replaced is %q, %v", v, ok)
			}
		}
	}
	writer.Wait()
}

func writersOfOneKey(o *opened) {
	const writers, writes = 4, 100
	var work sync.WaitGroup
	for who := range writers {
		work.Go(func() {
			for n := range writes {
				own := "own" + strconv.Itoa(who)
				for _, key := range []string{"shared", own} {
					if err := o.Records().Put(engine.Keys, key, fmt.Appendf(nil, "%d.%d", who, n)); err != nil {
						o.Errorf("putting %s: %v", key, err)
						return
					}
				}
			}
		})
	}
	work.Wait()
	got := o.list(engine.Keys)
	for who := range writers {
		if v, want := got["own"+strconv.Itoa(who)], fmt.Sprintf("%d.%d", who, writes-1); v != want {
			o.Errorf("the last value put by writer %d is %q, want %q", who, v, want)
		}
	}
	if v := got["shared"]; !strings.HasSuffix(v, fmt.Sprintf(".%d", writes-1)) {
		o.Errorf("the key of all writers is %q, which nobody put last", v)
	}
}

func syncReturns(o *opened) {
	for i := range 3 {
		if err := o.Records().Sync(o.Context()); err != nil {
			o.Fatalf("syncing: %v", err)
		}
		o.put(engine.Rules, "k", strconv.Itoa(i))
	}
	if err := o.Records().Sync(o.Context()); err != nil {
		o.Errorf("syncing: %v", err)
	}
	o.wantRecords(engine.Rules, map[string]string{"k": "2"})
}
