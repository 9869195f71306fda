package mycroft_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/client/mycroft"
)

func TestEncryptedFramesAreThoseOfOVOS(t *testing.T) {
	v := readVectors(t).AES
	got, err := mycroft.Seal([]byte(v.Key), v.Nonce, v.Plain)
	noError(t, err)
	same(t, "frame", got, v.Wire)

	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{SecretKey: []byte(v.Key)})
		for _, wire := range []string{v.Wire, v.WebCrypto, strings.ToUpper(v.Wire[:20]) + v.Wire[20:]} {
			wire = strings.Replace(wire, "CIPHERTEXT", "ciphertext", 1)
			h.sendSoon(wire)
			m, err := c.WaitForMessage(t.Context(), "speak")
			noError(t, err)
			same(t, "frame", frame(t, m), v.Plain)
		}
	})
}

func TestClientsWithAKeyUnderstandEachOtherAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := []byte("0123456789abcdef0123456789abcdef")
		h := newHub(t)
		one, two := h.start(mycroft.Options{SecretKey: key}), h.start(mycroft.Options{SecretKey: key})
		d := new(diary)
		stranger := h.start(mycroft.Options{SecretKey: []byte("another key 16 b"), Events: d.events()})
		plain := h.start(mycroft.Options{})
		if two.Stats().Invalid != 0 {
			t.Error("the greeting was dropped, which is never encrypted")
		}
		time.AfterFunc(time.Millisecond, func() {
			noError(t, one.Emit(t.Context(), mycroft.NewMessage("secret.told", map[string]string{"x": "y"})))
		})
		m, err := two.WaitForMessage(t.Context(), "secret.told")
		noError(t, err)
		same(t, "data", string(m.Data), `{"x":"y"}`)
		if wire := <-h.frames; strings.Contains(wire, "secret.told") {
			t.Errorf("it went over the wire as %s", wire)
		}
		noError(t, plain.Emit(t.Context(), mycroft.NewMessage("plain.told", nil)))
		synctest.Wait()
		if two.Stats().Invalid != 1 || stranger.Stats().Invalid != 2 || plain.Stats().Invalid != 0 {
			t.Errorf("%+v %+v %+v", two.Stats(), stranger.Stats(), plain.Stats())
		}
		if d.count("decrypting a frame") != 1 || d.count("a secret key is set") != 1 {
			t.Errorf("told:\n%s", d.text())
		}
		for _, bad := range []string{
			`{"ciphertext":"zz","nonce":"00"}`, `{"ciphertext":"00","nonce":"00"}`, `{"ciphertext":"","nonce":"000102030405060708090a0b0c0d0e0f"}`,
			`{"ciphertext":7,"tag":[],"nonce":{}}`, `{"nonce":"00"}`, `{"x":"ciphertext"}`, `{"ciphertext"`,
		} {
			h.send(bad)
		}
		synctest.Wait()
		if got := two.Stats().Invalid; got != 8 {
			t.Errorf("%d frames were dropped", got)
		}
	})
}

func TestUnencryptedFramesCanBeAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{SecretKey: []byte("0123456789abcdef"), AllowUnencrypted: true})
		h.sendSoon(`{"type":"plain.told"}`)
		_, err := c.WaitForMessage(t.Context(), "plain.told")
		noError(t, err)
	})
}
