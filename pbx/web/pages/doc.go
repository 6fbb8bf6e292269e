// Package pages draws the console: view models in, HTML out. It decides
// nothing about who may see what, asks no store and starts no goroutine; the
// templates escape every value by its place (html/template), so that a name
// from a caller can be shown as it came. Styles are a file of their own, since
// the console's Content-Security-Policy permits no inline style or script.
package pages
