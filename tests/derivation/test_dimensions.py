from gdiff.derivation.dimensions import Dimensions, substitute


def test_sizes_that_are_equal_are_found_through_each_other():
    sizes = Dimensions()
    a, b, c = sizes.fresh(), sizes.fresh(), sizes.fresh()
    assert sizes.unify(a, b)
    assert sizes.unify(c, b)
    assert sizes.unify(a, 5)
    assert sizes.resolve(c) == 5
    assert not sizes.unify(b, 6)


def test_an_unknown_size_is_not_one():
    sizes = Dimensions()
    assert not sizes.unify(sizes.fresh(), 1)
    assert not sizes.unify(("times", sizes.fresh(), sizes.fresh()), 1)
    assert not sizes.unify(("triangle", sizes.fresh()), 1)


def test_sizes_of_vech_vec_and_kron_are_computed_and_solved():
    sizes = Dimensions()
    d, m, n = sizes.fresh(), sizes.fresh(), sizes.fresh()
    assert sizes.unify(("triangle", d), 6)
    assert sizes.resolve(d) == 3
    assert not sizes.unify(("triangle", sizes.fresh()), 7)
    assert sizes.unify(("times", m, n), ("times", n, m))
    assert sizes.unify(("times", 2, m), 8)
    assert sizes.resolve(m) == 4
    assert sizes.unify(("times", n, n), 9)
    assert sizes.resolve(("times", m, ("times", n, 1))) == 12


def test_a_size_does_not_contain_itself():
    sizes = Dimensions()
    d = sizes.fresh()
    assert not sizes.unify(d, ("triangle", d))


def test_one_unknown_is_d_and_names_that_are_taken_are_not_used():
    sizes = Dimensions()
    one, two = sizes.fresh(), sizes.named("p")
    assert list(sizes.names([one]).values()) == ["d"]
    assert sizes.names([one, two], taken={"n"}) == {one: "m", two: "p"}
    assert substitute(("times", one, 2), {one: "n"}) == ("times", "n", 2)
