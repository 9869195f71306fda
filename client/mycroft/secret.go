package mycroft

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"omnibus/dialect/mycroft/packet"
)

// Sizes of the payload encryption: a nonce of another size than usual, and the
// usual tag.
const (
	nonceSize = 16
	tagSize   = 16
)

// errPlain is reported when a frame is not encrypted and should be.
var errPlain = errors.New("an unencrypted frame was dropped: a secret key is set")

// secret encrypts and decrypts whole frames.
type secret struct{ aead cipher.AEAD }

func newSecret(key []byte) (*secret, error) {
	if len(key) == 0 {
		return nil, nil
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("the secret key must have 16, 24 or 32 bytes: %w", err)
	}
	aead, err := cipher.NewGCMWithNonceSize(block, nonceSize)
	if err != nil {
		return nil, err
	}
	return &secret{aead}, nil
}

// seal returns the encrypted form of a frame.
func (s *secret) seal(frame []byte) []byte {
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce) // never fails
	return s.sealWith(nonce, frame)
}

func (s *secret) sealWith(nonce, frame []byte) []byte {
	sealed := s.aead.Seal(nil, nonce, frame, nil)
	end := len(sealed) - tagSize
	var out []byte
	for _, x := range []struct {
		begin string
		data  []byte
	}{{`{"ciphertext":"`, sealed[:end]}, {`","tag":"`, sealed[end:]}, {`","nonce":"`, nonce}} {
		out = hex.AppendEncode(append(out, x.begin...), x.data)
	}
	return append(out, `"}`...)
}

// open returns the frame inside an encrypted one. encrypted is false when the
// frame is none.
func (s *secret) open(frame []byte) (plain []byte, encrypted bool, err error) {
	if !bytes.Contains(frame, []byte(`"ciphertext"`)) || !json.Valid(frame) {
		return nil, false, nil
	}
	parts := map[string][]byte{}
	for key, value := range packet.Members(frame) {
		switch key {
		case "ciphertext", "tag", "nonce":
			if parts[key], err = hex.DecodeString(packet.Text(value)); err != nil {
				return nil, true, fmt.Errorf("decrypting a frame: %s: %w", key, err)
			}
		}
	}
	if parts["ciphertext"] == nil {
		return nil, false, nil
	}
	if len(parts["nonce"]) != nonceSize {
		return nil, true, fmt.Errorf("decrypting a frame: the nonce has %d bytes, not %d", len(parts["nonce"]), nonceSize)
	}
	// Without a tag of its own it is the end of the ciphertext.
	plain, err = s.aead.Open(nil, parts["nonce"], append(parts["ciphertext"], parts["tag"]...), nil)
	if err != nil {
		return nil, true, fmt.Errorf("decrypting a frame: %w", err)
	}
	return plain, true, nil
}
