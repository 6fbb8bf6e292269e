package pages

// list is a table of calls with the page's language.
type list struct {
	Page
	List []Row
}

// LiveView is the table of the calls that are not over.
func (h History) LiveView() any { return list{h.Page, h.Live} }

// RowsView is the table of the calls that are over.
func (h History) RowsView() any { return list{h.Page, h.Rows} }

// Title is the message's heading.
func (m Message) Title() string { return m.T(m.Key+".title", m.Args...) }

// Body is the message's sentence.
func (m Message) Body() string { return m.T(m.Key+".text", m.Args...) }
