// Command codec-oracle answers what go-cty, the library that Terraform itself uses, makes of types and values on the wire.
//
// It reads one request per line of JSON from stdin and writes one answer per line to stdout (for "generate",
// as many as were asked for). It ends at the end of stdin. Bytes are in base64, as encoding/json has them.
//
// Other than that it knows nothing: what is right or wrong decides the test that asks (../tests/oracle.rs).
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
	ctymsgpack "github.com/zclconf/go-cty/cty/msgpack"
)

// encoded is a value in one of two encodings.
type encoded struct {
	Msgpack []byte `json:"msgpack,omitempty"`
	JSON    []byte `json:"json,omitempty"`
}

type request struct {
	// "decode": read the value and write it again. "same": are two values equal? "generate": make some.
	Op   string          `json:"op"`
	Type json.RawMessage `json:"type"`
	encoded
	Other encoded `json:"other"`
	Seed  uint64  `json:"seed"`
	Count int     `json:"count"`
}

type answer struct {
	// The type as cty writes it.
	Type []byte `json:"type,omitempty"`
	// The value as cty writes it; as JSON only if it is wholly known.
	encoded
	Same  bool   `json:"same"`
	Value string `json:"value,omitempty"`
	Error string `json:"error,omitempty"`
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	requests := json.NewDecoder(in)
	answers := json.NewEncoder(out)
	for {
		var req request
		if err := requests.Decode(&req); err != nil {
			out.Flush()
			return
		}
		for _, ans := range handle(req) {
			if err := answers.Encode(ans); err != nil {
				fmt.Fprintln(os.Stderr, "codec-oracle:", err)
				os.Exit(1)
			}
		}
		// Nothing more to read at once: who asked is waiting.
		if in.Buffered() == 0 {
			out.Flush()
		}
	}
}

func handle(req request) []answer {
	if req.Op == "generate" {
		return generate(req.Seed, req.Count)
	}
	return []answer{guarded(func() (answer, error) {
		ty, err := ctyjson.UnmarshalType(req.Type)
		if err != nil {
			return answer{}, fmt.Errorf("type: %w", err)
		}
		val, err := decode(req.encoded, ty)
		if err != nil {
			return answer{}, err
		}
		switch req.Op {
		case "decode":
			return encode(val, ty)
		case "same":
			other, err := decode(req.Other, ty)
			if err != nil {
				return answer{}, err
			}
			ans := answer{Same: val.RawEquals(other)}
			if !ans.Same {
				ans.Value = fmt.Sprintf("%#v\nand %#v", val, other)
			}
			return ans, nil
		default:
			return answer{}, fmt.Errorf("no such request: %q", req.Op)
		}
	})}
}

// guarded turns a panic into an answer: cty panics on some of what it is sent, and Terraform with it.
func guarded(what func() (answer, error)) (ans answer) {
	defer func() {
		if r := recover(); r != nil {
			ans = answer{Error: fmt.Sprintf("panic: %v", r)}
		}
	}()
	ans, err := what()
	if err != nil {
		return answer{Error: err.Error()}
	}
	return ans
}

func decode(from encoded, ty cty.Type) (cty.Value, error) {
	if from.JSON != nil {
		val, err := ctyjson.Unmarshal(from.JSON, ty)
		if err != nil {
			return cty.NilVal, fmt.Errorf("json: %w", err)
		}
		return val, nil
	}
	val, err := ctymsgpack.Unmarshal(from.Msgpack, ty)
	if err != nil {
		return cty.NilVal, fmt.Errorf("msgpack: %w", err)
	}
	return val, nil
}

func encode(val cty.Value, ty cty.Type) (answer, error) {
	var ans answer
	var err error
	if ans.Type, err = ctyjson.MarshalType(ty); err != nil {
		return ans, fmt.Errorf("type: %w", err)
	}
	if ans.Msgpack, err = ctymsgpack.Marshal(val, ty); err != nil {
		return ans, fmt.Errorf("msgpack: %w", err)
	}
	if val.IsWhollyKnown() {
		if ans.JSON, err = ctyjson.Marshal(val, ty); err != nil {
			return ans, fmt.Errorf("json: %w", err)
		}
	}
	return ans, nil
}
