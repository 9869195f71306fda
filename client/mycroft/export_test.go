package mycroft

import "encoding/hex"

// Seal encrypts a frame with a nonce of the test's choice.
func Seal(key []byte, nonce string, frame string) (string, error) {
	s, err := newSecret(key)
	if err != nil {
		return "", err
	}
	n, err := hex.DecodeString(nonce)
	return string(s.sealWith(n, []byte(frame))), err
}
