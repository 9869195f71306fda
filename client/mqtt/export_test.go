package mqtt

// Replay lets the fuzzer reach the reader of a session's file.
func Replay(data []byte) (live []Record, used int) { return replay(data) }

// AppendRecord appends a record as it is in the file.
func AppendRecord(dst []byte, r Record, gone bool) []byte { return appendRecord(dst, r, gone) }

// FileHeader is what a file begins with.
const FileHeader = fileHeader
