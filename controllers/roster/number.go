package roster

import (
	"regexp"
	"slices"
	"strings"
)

// Reading is what a free text says about telephone numbers.
type Reading struct {
	// Internal are extensions of 2 to 8 digits, the likeliest first: those
	// that are marked as one ("내선 101", "ext. 101", "#101"), then bare ones.
	Internal []string
	// Outside are whole Korean numbers, as national digits ("025550101").
	Outside []string
}

// Read reads a field of the directory. A telephone field (telephone true)
// holds whole numbers too, so there a bare run of seven or eight digits that
// looks like a local or a company number is one; in other fields it is an
// extension. What could be read in two ways is left out.
func Read(text string, telephone bool) Reading {
	p := parser{tokens: scan(text), telephone: telephone}
	for p.at < len(p.tokens) {
		p.next()
	}
	return p.reading()
}

// Patterns of Korean numbers by their digits. Regular expressions are
// immutable once compiled.
var (
	reNational = regexp.MustCompile(`^(02[0-9]{7,8}|050[0-9]{8,9}|0[13-8][0-9]{8,9})$`)
	reCompany  = regexp.MustCompile(`^1[568][0-9]{6}$`)
	reLocal    = regexp.MustCompile(`^[2-9][0-9]{6,7}$`)
	reMobile   = regexp.MustCompile(`^01[016789][0-9]{7,8}$`)
)

// mobile returns the first Korean mobile number of a text, with hyphens as
// people know it; "" if there is none.
func mobile(text string) string {
	for _, n := range Read(text, true).Outside {
		if reMobile.MatchString(n) {
			last := len(n) - 4
			return n[:3] + "-" + n[3:last] + "-" + n[last:]
		}
	}
	return ""
}

// candidate is an extension that was found.
type candidate struct {
	number string
	marked bool
}

// parser walks the tokens of one text once, from left to right.
type parser struct {
	tokens    []token
	at        int
	telephone bool
	found     []candidate
	outside   []string
	// last tells what the last number was, for a word that follows it.
	last lastNumber
}

// lastNumber is what a word behind a number may speak about.
type lastNumber int

const (
	noNumber lastNumber = iota
	anExtension
	another // an outside number, or one that is not understood
)

// next takes one token, or one number of several runs of digits.
func (p *parser) next() {
	t := p.tokens[p.at]
	switch {
	case t.kind == plus && p.digitsAt(p.at+1):
		p.at++
		p.foreign(p.run())
	case t.kind == digits:
		p.number(p.run(), false)
	case t.kind == word:
		p.word(t)
	case t.kind == dial && p.digitsAt(p.at+1):
		p.at++
		p.number(p.run(), true)
	case t.kind == divider:
		p.at++
		p.divide(t)
	default:
		p.at++
	}
}

// divide goes on to the next number, or past the end of a range: in
// "02-555-0101~12" and "02-555-0101/12" the 12 is no extension.
func (p *parser) divide(t token) {
	if p.digitsAt(p.at) && (t.text == "~" || t.text == "/" && p.last == another && len(p.tokens[p.at].text) < 3) {
		p.run()
	}
	p.last = noNumber
}

func (p *parser) digitsAt(i int) bool { return i < len(p.tokens) && p.tokens[i].kind == digits }

// word takes a word: it may say what the number beside it is.
func (p *parser) word(t token) {
	behind := t.glued && p.tokens[p.at-1].kind == digits // "101a", "12층"
	p.at++
	number := p.skipTo()
	switch {
	case isFax(t.text) && !behind:
		if number > 0 {
			p.at = number
			p.run()
		} else {
			p.dropLast()
		}
	case isMarker(t.text) || isPause(t.text) && p.last != noNumber:
		if number > 0 {
			p.at = number
			p.number(p.run(), true)
		} else if p.last == anExtension {
			p.found[len(p.found)-1].marked = true
		}
	case behind && (isUnit(t.text) || isCode(t.text)):
		p.dropLast()
	case isCode(t.text) && p.digitsAt(p.at) && p.tokens[p.at].glued:
		p.run() // "B101"
	}
	p.last = noNumber
}

// dropLast takes back the extension that was read last.
func (p *parser) dropLast() {
	if p.last == anExtension {
		p.found = p.found[:len(p.found)-1]
	}
}

// skipTo returns where the number stands that a word speaks about: right
// behind it, or behind blanks, a colon, a dot, a hyphen or a bracket; 0 if
// there is none.
func (p *parser) skipTo() int {
	for i := p.at; i < len(p.tokens); i++ {
		switch p.tokens[i].kind {
		case digits:
			return i
		case soft, hard, colon:
		default:
			return 0
		}
	}
	return 0
}

// piece is one run of digits of a number, and how it hangs on the one before.
type piece struct {
	text string
	hard bool // by a hyphen or a dot
}

// run takes the digits from here on that may be one number.
func (p *parser) run() []piece {
	var out []piece
	hung := false
	for i := p.at; i < len(p.tokens); i++ {
		switch t := p.tokens[i]; t.kind {
		case digits:
			out = append(out, piece{t.text, hung})
			hung = false
			p.at = i + 1
		case hard:
			hung = true
		case soft:
		default:
			return out
		}
	}
	return out
}

// foreign takes a number that began with +: of Korea (82), or of elsewhere.
func (p *parser) foreign(run []piece) {
	p.last = another
	rest, korean := strings.CutPrefix(run[0].text, "82")
	if !korean {
		return
	}
	run[0].text = rest
	for n := len(run); n > 0; n-- {
		d := joined(run[:n])
		if !reCompany.MatchString(d) {
			d = "0" + strings.TrimPrefix(d, "0")
		}
		if reNational.MatchString(d) || reCompany.MatchString(d) {
			p.outside = append(p.outside, d)
			p.rest(run[n:])
			return
		}
	}
}

// number takes runs of digits: outside numbers first, the longest that there
// are, since "02-555-0101" is no list of extensions.
func (p *parser) number(run []piece, marked bool) {
	if n := p.leadsOutside(run, marked); n > 0 {
		p.last = another
		p.rest(run[n:])
		return
	}
	tied := 1 // by hyphens to the first run
	for tied < len(run) && run[tied].hard {
		tied++
	}
	switch {
	case marked:
		p.extension(run[0].text, true)
	case tied > 1 || p.twoWays(run):
		// "101-103", "555 0101": not clear.
		p.last = another
		tied = max(tied, 2)
	default:
		p.extension(run[0].text, false)
	}
	if tied < len(run) {
		p.number(run[tied:], false)
	}
}

// rest takes what follows an outside number: one run that hangs on it by a
// hyphen is an extension, too.
func (p *parser) rest(run []piece) {
	if len(run) > 0 {
		p.number(run, false)
	}
}

// twoWays reports whether two runs could be a local number or two extensions.
func (p *parser) twoWays(run []piece) bool {
	return p.telephone && len(run) > 1 && len(run[0].text) >= 3 && len(run[1].text) == 4 && reLocal.MatchString(joined(run[:2]))
}

// leadsOutside notes the longest outside number at the beginning of run and
// returns its length in runs.
func (p *parser) leadsOutside(run []piece, marked bool) int {
	for n := len(run); n > 0; n-- {
		d := joined(run[:n])
		if rest, ok := strings.CutPrefix(d, "82"); ok && reNational.MatchString("0"+strings.TrimPrefix(rest, "0")) {
			d = "0" + strings.TrimPrefix(rest, "0")
		}
		switch {
		case reNational.MatchString(d):
			p.outside = append(p.outside, d)
			return n
		case reCompany.MatchString(d) && (n > 1 || p.telephone && !marked):
			p.outside = append(p.outside, d)
			return n
		case reLocal.MatchString(d) && (n == 2 && run[1].hard || n == 1 && p.telephone && !marked):
			return n // without its area code it is of no use to anybody here
		}
	}
	return 0
}

// extension notes digits that can be dialled inside.
func (p *parser) extension(number string, marked bool) {
	p.last = another
	areaCode := p.telephone && !marked && number[0] == '0' && len(number) <= 3
	if len(number) < 2 || len(number) > 8 || areaCode {
		return
	}
	p.found = append(p.found, candidate{number, marked})
	p.last = anExtension
}

func joined(run []piece) string {
	var b strings.Builder
	for _, r := range run {
		b.WriteString(r.text)
	}
	return b.String()
}

func (p *parser) reading() Reading {
	out := Reading{Outside: p.outside}
	for _, marked := range [...]bool{true, false} {
		for _, c := range p.found {
			if c.marked == marked && !slices.Contains(out.Internal, c.number) {
				out.Internal = append(out.Internal, c.number)
			}
		}
	}
	return out
}
