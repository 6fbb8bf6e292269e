package journal

import "testing"

type thing struct {
	Name string `json:"name"`
	N    int    `json:"n"`
}

func TestTable(t *testing.T) {
	j := open(t, file(t), Options{})
	things := NewTable[thing](j, "thing")
	mark, err := things.Put("a", &thing{"one", 1}, 0)
	if err != nil || mark == 0 {
		t.Fatal(mark, err)
	}
	size := j.Stats().Size
	if again, err := things.Put("a", &thing{"one", 1}, mark); err != nil || again != mark || j.Stats().Size != size {
		t.Errorf("the same was written again: %v %v", again, err)
	}
	if next, err := things.Put("a", &thing{"two", 2}, mark); err != nil || next == mark {
		t.Errorf("a change was not written: %v %v", next, err)
	}
	if err := things.PutAll([]Record{things.Pack("b", &thing{"b", 3}), things.Pack("c", &thing{})}); err != nil {
		t.Fatal(err)
	}
	mustPut(t, j, "thing", "damaged", "\x05")
	mustPut(t, j, "other", "x", "")
	things.Delete("b")
	all := things.All()
	if len(all) != 2 || *all["a"] != (thing{"two", 2}) || *all["c"] != (thing{}) {
		t.Errorf("%v", all)
	}
	none := NewTable[thing](nil, "thing")
	if mark, err := none.Put("a", &thing{}, 0); mark != 0 || err != nil || none.Keeps() || len(none.All()) != 0 {
		t.Error("a table without a store keeps something")
	}
	none.Delete("a")
	if err := none.PutAll([]Record{{}}); err != nil {
		t.Error(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if same, err := things.Put("z", &thing{}, mark); err == nil || same != mark {
		t.Errorf("a closed journal took a record: %v %v", same, err)
	}
}
