package mqtt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"

	"omnibus/dialect/mqtt/packet"
)

// The file of a session is a header and then records:
//
//	4 bytes  CRC-32 (Castagnoli) of what follows
//	4 bytes  length of the packet, big-endian
//	1 byte   kind, in lower case what was put, in upper case what was deleted
//	1 byte   version of the packet
//	2 bytes  identifier, big-endian
//	n bytes  the packet
//
// A record that is cut or damaged ends the file: it was being written when the process or the machine stopped.
const (
	fileHeader   = "omnibus mqtt session 1\n"
	recordHeader = 12
	deleted      = 0x20 // the difference of lower and upper case
	// compactAt is from where a file that is mostly of what was deleted is written anew.
	compactAt = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// File is a Store in a file. A record costs one write, and an fsync if that is asked for. Without it what was put
// survives the end of the process, but not always that of the machine.
type File struct {
	path string
	sync bool
	f    *os.File
	at   map[key]int64 // the size of each record that counts
	size int64         // of the file
	used int64         // of the records that count
	buf  []byte
	bad  error // a write has failed: what the file ends with is unknown
}

type key struct {
	kind Kind
	id   uint16
}

// OpenFile opens the file of a session, or makes it. sync has every change reach the disk before it counts. A file
// belongs to one client at a time; Close it when the client is over.
func OpenFile(path string, sync bool) (*File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the file of a session: %w", err)
	}
	s := &File{path: path, sync: sync, f: f, at: make(map[key]int64)}
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the file of a session: %s: %w", path, err), f.Close())
	}
	return s, nil
}

// open reads what the file has and leaves it at its end.
func (s *File) open() error {
	data, err := s.read()
	if err != nil {
		return err
	}
	live, used := replay(data)
	if used == len(data) && used > 0 && len(data) < compactAt {
		s.account(live, int64(len(fileHeader)+used))
		return nil
	}
	return s.rewrite(live)
}

// read returns what follows the header, nothing for a file that is new.
func (s *File) read() ([]byte, error) {
	if _, err := s.f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(s.f)
	switch {
	case err != nil:
		return nil, err
	case len(data) < len(fileHeader) && bytes.HasPrefix([]byte(fileHeader), data): // cut before anything was in it
		return nil, nil
	case !bytes.HasPrefix(data, []byte(fileHeader)):
		return nil, errors.New("it is something else")
	}
	return data[len(fileHeader):], nil
}

// rewrite writes the file anew, beside the old one, which it then replaces.
func (s *File) rewrite(live []Record) error {
	data := []byte(fileHeader)
	for _, r := range live {
		data = appendRecord(data, r, false)
	}
	f, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), s.path)
	}
	if err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	err = s.f.Close()
	s.f = f
	s.account(live, int64(len(data)))
	return err
}

// account counts the records that count.
func (s *File) account(live []Record, size int64) {
	s.size, s.used = size, 0
	clear(s.at)
	for _, r := range live {
		s.at[key{r.Kind, r.ID}] = int64(recordHeader + len(r.Packet))
		s.used += int64(recordHeader + len(r.Packet))
	}
}

// Load returns what is kept.
func (s *File) Load() ([]Record, error) {
	data, err := s.read()
	if err != nil {
		return nil, fmt.Errorf("reading the file of a session: %s: %w", s.path, err)
	}
	live, _ := replay(data)
	return live, nil
}

// Put keeps a record.
func (s *File) Put(r Record) error {
	k := key{r.Kind, r.ID}
	if err := s.append(r, false); err != nil {
		return err
	}
	s.used += int64(recordHeader+len(r.Packet)) - s.at[k]
	s.at[k] = int64(recordHeader + len(r.Packet))
	return s.compact()
}

// Delete forgets a record.
func (s *File) Delete(kind Kind, id uint16) error {
	k := key{kind, id}
	size, ok := s.at[k]
	if !ok {
		return nil
	}
	if err := s.append(Record{Kind: kind, ID: id}, true); err != nil {
		return err
	}
	s.used -= size
	delete(s.at, k)
	return s.compact()
}

func (s *File) append(r Record, gone bool) error {
	if s.bad != nil {
		return s.bad
	}
	s.buf = appendRecord(s.buf[:0], r, gone)
	_, err := s.f.Write(s.buf)
	if err == nil && s.sync {
		err = s.f.Sync()
	}
	if err != nil {
		s.bad = fmt.Errorf("writing the file of a session: %w", err)
		return s.bad
	}
	s.size += int64(len(s.buf))
	if cap(s.buf) > largestKept {
		s.buf = nil
	}
	return nil
}

// compact writes a file anew that is large and mostly of what does not count any more.
func (s *File) compact() error {
	if s.size < compactAt || s.used > s.size/2 {
		return nil
	}
	data, err := s.read()
	if err == nil {
		live, _ := replay(data)
		err = s.rewrite(live)
	}
	if err != nil {
		s.bad = fmt.Errorf("compacting the file of a session: %w", err)
	}
	return s.bad
}

// Close closes the file.
func (s *File) Close() error { return s.f.Close() }

// replay reads records until they end or one is damaged, and tells how many bytes are good. Packets are views.
func replay(data []byte) (live []Record, used int) {
	place := make(map[key]int)
	for {
		r, gone, n := cutRecord(data[used:])
		if n == 0 {
			break
		}
		used += n
		k := key{r.Kind, r.ID}
		i, known := place[k]
		switch {
		case gone && known:
			live[i].Kind = 0
			delete(place, k)
		case gone:
		case known:
			live[i] = r
		default:
			place[k] = len(live)
			live = append(live, r)
		}
	}
	return slices.DeleteFunc(live, func(r Record) bool { return r.Kind == 0 }), used
}

// cutRecord reads the first record; n is 0 if there is no whole one.
func cutRecord(data []byte) (r Record, gone bool, n int) {
	if len(data) < recordHeader {
		return r, false, 0
	}
	size := binary.BigEndian.Uint32(data[4:])
	if size > packet.MaxSize || int(size) > len(data)-recordHeader {
		return r, false, 0
	}
	n = recordHeader + int(size)
	if binary.BigEndian.Uint32(data) != crc32.Checksum(data[4:n], castagnoli) {
		return r, false, 0
	}
	kind := data[8]
	gone = kind&deleted == 0
	r = Record{Kind: Kind(kind | deleted), Version: Version(data[9]), ID: binary.BigEndian.Uint16(data[10:]), Packet: data[recordHeader:n:n]}
	if r.Kind != Outgoing && r.Kind != Tried && r.Kind != Incoming {
		return r, false, 0
	}
	return r, gone, n
}

// appendRecord appends a record as it is in the file.
func appendRecord(dst []byte, r Record, gone bool) []byte {
	start := len(dst)
	kind := byte(r.Kind)
	if gone {
		kind &^= deleted
	}
	dst = binary.BigEndian.AppendUint32(dst, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(r.Packet)))
	dst = append(dst, kind, byte(r.Version))
	dst = binary.BigEndian.AppendUint16(dst, r.ID)
	dst = append(dst, r.Packet...)
	binary.BigEndian.PutUint32(dst[start:], crc32.Checksum(dst[start+4:], castagnoli))
	return dst
}
