package main

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// generate makes values by cty's own means, so that it finds what a generator written beside the other codec would not:
// its set order, its refinements, its normal form of strings, its kinds of numbers.
func generate(seed uint64, count int) []answer {
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	answers := make([]answer, count)
	for i := range answers {
		answers[i] = guarded(func() (answer, error) {
			depth := 4
			if g.oneIn(40) {
				depth = 30
			}
			ty := g.ty(depth, true)
			return encode(g.value(ty), ty)
		})
	}
	return answers
}

type generator struct{ *rand.Rand }

func (g generator) oneIn(n int) bool { return g.IntN(n) == 0 }

// ty makes a type. Inside of collections and of dynamic values nothing further is dynamic: cty wants one type for all
// elements, and writes the type that a value has, not the one that it was declared with.
func (g generator) ty(depth int, dynamic bool) cty.Type {
	n := 12
	if depth == 0 {
		n = 4
	} else if depth > 4 {
		// Deep and narrow. No sets: cty compares sets in time exponential in how deep they nest.
		return []func(cty.Type) cty.Type{
			cty.List, cty.Map,
			func(ty cty.Type) cty.Type { return cty.Tuple([]cty.Type{ty}) },
			func(ty cty.Type) cty.Type { return cty.Object(map[string]cty.Type{"deep": ty}) },
		}[g.IntN(4)](g.ty(depth-1, false))
	}
	switch g.IntN(n) {
	case 0:
		return cty.Bool
	case 1:
		return cty.Number
	case 2:
		return cty.String
	case 3:
		if dynamic {
			return cty.DynamicPseudoType
		}
		return cty.Number
	case 4, 5:
		if dynamic && g.oneIn(6) {
			return cty.List(cty.DynamicPseudoType)
		}
		return cty.List(g.ty(depth-1, false))
	case 6:
		return cty.Set(g.ty(depth-1, false))
	case 7:
		if dynamic && g.oneIn(6) {
			return cty.Map(cty.DynamicPseudoType)
		}
		return cty.Map(g.ty(depth-1, false))
	case 8, 9:
		types := make([]cty.Type, g.IntN(5))
		for i := range types {
			types[i] = g.ty(depth-1, dynamic)
		}
		return cty.Tuple(types)
	default:
		types := make(map[string]cty.Type)
		for range g.IntN(6) {
			types[g.name()] = g.ty(depth-1, dynamic)
		}
		return cty.Object(types)
	}
}

func (g generator) value(ty cty.Type) cty.Value {
	switch g.IntN(12) {
	case 0:
		return cty.NullVal(ty)
	case 1:
		return g.unknown(ty)
	}
	switch {
	case ty == cty.Bool:
		return cty.BoolVal(g.oneIn(2))
	case ty == cty.Number:
		return g.number()
	case ty == cty.String:
		return cty.StringVal(g.text())
	case ty == cty.DynamicPseudoType:
		return g.value(g.ty(3, false))
	case ty.IsTupleType():
		types := ty.TupleElementTypes()
		values := make([]cty.Value, len(types))
		for i, ty := range types {
			values[i] = g.value(ty)
		}
		return cty.TupleVal(values)
	case ty.IsObjectType():
		values := make(map[string]cty.Value)
		for name, ty := range ty.AttributeTypes() {
			values[name] = g.value(ty)
		}
		return cty.ObjectVal(values)
	}
	declared := ty.ElementType()
	element := declared
	if element == cty.DynamicPseudoType {
		element = g.ty(2, false)
	}
	values := make([]cty.Value, g.IntN(4))
	if element.IsPrimitiveType() && g.oneIn(50) {
		values = make([]cty.Value, 300)
	}
	for i := range values {
		values[i] = g.value(element)
	}
	switch {
	case ty.IsListType() && len(values) == 0:
		return cty.ListValEmpty(declared)
	case ty.IsListType():
		return cty.ListVal(values)
	case ty.IsSetType() && len(values) == 0:
		return cty.SetValEmpty(declared)
	case ty.IsSetType():
		return cty.SetVal(values)
	case len(values) == 0:
		return cty.MapValEmpty(declared)
	default:
		members := make(map[string]cty.Value)
		for _, value := range values {
			members[cty.NormalizeString(g.text())] = value
		}
		return cty.MapVal(members)
	}
}

// unknown makes an unknown value, half of them refined.
func (g generator) unknown(ty cty.Type) cty.Value {
	val := cty.UnknownVal(ty)
	if ty == cty.DynamicPseudoType || g.oneIn(2) {
		return val
	}
	refine := val.Refine()
	if !g.oneIn(3) {
		refine = refine.NotNull()
	}
	switch {
	case ty == cty.String && g.oneIn(2):
		refine = refine.StringPrefix(g.text())
	case ty == cty.String:
		refine = refine.StringPrefixFull(g.text())
	case ty == cty.Number:
		a, b := g.number(), g.number()
		if b.LessThan(a).True() {
			a, b = b, a
		}
		if a.LessThan(b).True() {
			if g.oneIn(2) {
				refine = refine.NumberRangeLowerBound(a, g.oneIn(2))
			}
			if g.oneIn(2) {
				refine = refine.NumberRangeUpperBound(b, g.oneIn(2))
			}
		}
	case ty.IsCollectionType():
		low := g.IntN(300)
		if g.oneIn(2) {
			refine = refine.CollectionLengthLowerBound(low)
		}
		if g.oneIn(2) {
			refine = refine.CollectionLengthUpperBound(low + 1 + g.IntN(70000))
		}
	}
	return refine.NewValue()
}

var numbers = strings.Fields(`0 1 -1 127 128 255 256 -32 -33 -128 -129 65535 65536 -32768 -32769 2147483647 2147483648 -2147483649
	4294967296 9223372036854775807 -9223372036854775808 9223372036854775808 18446744073709551615 18446744073709551616
	1208925819614629174706176 3.1 0.5 0.25 -0.1 0.1 1e100 1e-100 2.5e-7 9007199254740993 0.30000000000000004 1e22 1e23 1e400
	9.31322574615478515625e-10 3.14159265358979323846264338327950288419716939937510582097494459`)

func (g generator) number() cty.Value {
	switch g.IntN(7) {
	case 0:
		return cty.NumberIntVal(int64(g.IntN(512)) - 256)
	case 1:
		return cty.NumberIntVal(int64(g.Uint64()) >> g.IntN(64))
	case 2:
		return cty.NumberUIntVal(g.Uint64() >> g.IntN(64))
	case 3:
		// A double as another provider would send it. Large whole ones lose digits in cty's own JSON, and of
		// the tiniest ones (subnormal) it writes more digits than the double has.
		float := math.Float64frombits(g.Uint64())
		if math.IsNaN(float) || math.IsInf(float, 0) || (math.Trunc(float) == float && math.Abs(float) >= 1<<53) || math.Abs(float) < 1e-307 {
			float = float64(g.IntN(1000)) / 10
		}
		return cty.NumberFloatVal(float)
	case 4:
		return cty.MustParseNumberVal(strconv.Itoa(g.IntN(2000000)-1000000) + "e-" + strconv.Itoa(g.IntN(12)))
	case 5:
		// 512 bits are 154 decimal digits.
		digits := make([]byte, 1+g.IntN(150))
		for i := range digits {
			digits[i] = byte('0' + g.IntN(10))
		}
		return cty.MustParseNumberVal("1" + string(digits[1:]) + "e" + strconv.Itoa(g.IntN(600)-300))
	default:
		return cty.MustParseNumberVal(numbers[g.IntN(len(numbers))])
	}
}

var words = []string{
	"", "a", "name", "type", "value", "0", "true", "null", "é", "straße", "日本語", "👩‍💻", "🇫🇮", "❤️", "\"quoted\" \\", "line\nbreak\t",
	"\x00\x7f", "<b>&amp;\u2028", "\U0010ffff", "${x}", strings.Repeat("long ", 60), strings.Repeat("é", 300),
	// Two spellings of one letter, and letters that compose: cty brings them into form NFC.
	"e\u0301", "o\u0323\u0302", "\u1112\u1161\u11ab", "\u212b", "a\u0315\u0300\u05ae\u0300b",
}

// ranges of code points for random text: printable ASCII, Latin, combining marks, Hangul letters, CJK, emoji, private use.
var ranges = [][2]int{{0x20, 0x7e}, {0xa0, 0x24f}, {0x300, 0x36f}, {0x1100, 0x11ff}, {0x4e00, 0x4fff}, {0x1f300, 0x1f6ff}, {0xe000, 0xe0ff}}

func (g generator) text() string {
	if !g.oneIn(3) {
		return words[g.IntN(len(words))]
	}
	var text strings.Builder
	for range g.IntN(40) {
		bounds := ranges[g.IntN(len(ranges))]
		text.WriteRune(rune(bounds[0] + g.IntN(bounds[1]-bounds[0]+1)))
	}
	return text.String()
}

// name makes the name of an attribute: mostly an ordinary one.
func (g generator) name() string {
	if g.oneIn(8) {
		return cty.NormalizeString(g.text())
	}
	return []string{"id", "name", "size", "zone", "tags", "_x", "port_2", "Ünïcode"}[g.IntN(8)]
}
