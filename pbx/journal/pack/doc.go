// Package pack writes plain structs as short binary texts for the journal,
// several times faster than encoding/json and by the same names: the json tags.
// Fields that are zero take no room. As every field stands under its name,
// a reader of another version takes what it knows and passes over the rest:
// an upgrade reads what the version before has written.
//
//	struct: (name length 1, name, wire 1, value)... 0
//	wire:   number = varint | bytes = length, bytes | object = struct | list = count, wire, values
//
// A Codec is made once for each type and may then be used by any goroutine.
// Booleans, numbers, texts, slices, structs, pointers to them, and types that
// write themselves (encoding.BinaryAppender and BinaryUnmarshaler, such as
// times and addresses) are supported; a nil pointer is a zero one.
package pack
