"""Tests of the comparison itself, against brute force on tiny matrices: no build, no GPU, a few seconds."""

import sys
import unittest

import numpy as np

from . import check, checker, cli, data, published, simple_peers
from .arrays import matrix_of, tiles_of
from .methods import ablations, array_method
from .timing import Ring


def tiny(tiles=6, m=4, seed=1):
    return np.abs(np.random.default_rng(seed).standard_normal((tiles, m, m))).astype(np.float32)


def optima(importance, n):
    """Of each 4 x 4 tile, by trying every mask."""
    return (importance.reshape(-1, 16) @ simple_peers.all_masks(n, 4).T).max(1)


class Tiles(unittest.TestCase):
    def test_there_and_back(self):
        matrix = np.arange(8 * 12).reshape(8, 12)
        tiles = tiles_of(matrix, 4)
        np.testing.assert_array_equal(tiles[1], matrix[:4, 4:8])
        np.testing.assert_array_equal(matrix_of(tiles, 8, 12), matrix)


class Checker(unittest.TestCase):
    def test_counts_full_rows_and_columns(self):
        mask = np.kron(np.eye(2), np.tile([[1, 0], [0, 1]], (2, 2)))  # 2:4 in the diagonal tiles, nothing beside them
        self.assertEqual(checker.violations(mask, 2, 4, "at_most"), 0)
        self.assertEqual(checker.violations(mask, 2, 4, "exactly"), 16)  # four rows and columns of two empty tiles
        mask[0, 1] = 1
        self.assertEqual(checker.violations(mask, 2, 4, "at_most"), 2)

    def test_sums_magnitudes_that_are_kept(self):
        weights, mask = np.float32([[1, -2], [3, -4]]), np.uint8([[0, 1], [255, 0]])
        self.assertEqual(checker.judge(weights, mask, 1, 2, "exactly"), checker.Verdict(0, 5.0))

    def test_any_prices_bound_the_optimum(self):
        weights = matrix_of(tiny(), 8, 12)
        most = optima(tiny(), 2).sum()
        for seed in range(20):
            prices = np.random.default_rng(seed).standard_normal((6, 2, 4)).astype(np.float32)
            for constraint in ("exactly", "at_most"):
                self.assertGreaterEqual(checker.certified_bound(weights, prices, 2, 4, constraint), most - 1e-6)

    def test_the_right_prices_are_tight(self):
        weights = np.float32([[5, 1], [1, 5]])  # 1:2 keeps the diagonal; prices -2.5 leave it no surplus
        prices = np.full((1, 2, 2), -2.5, np.float32)
        self.assertEqual(checker.certified_bound(weights, prices, 1, 2, "exactly"), 10.0)


class Peers(unittest.TestCase):
    def test_there_are_90_masks_of_2_4(self):
        self.assertEqual(simple_peers.all_masks(2, 4).shape, (90, 16))
        self.assertEqual(simple_peers.all_masks(1, 4).shape, (24, 16))

    def test_pattern_search_is_optimal(self):
        mask = simple_peers.candidate_search(simple_peers.all_masks(2, 4))(tiny(), 2)
        np.testing.assert_allclose((tiny() * mask).sum((1, 2)), optima(tiny(), 2), rtol=1e-6)

    def test_random_masks_keep_n(self):
        masks = simple_peers.random_masks(3, 8, count=20).reshape(20, 8, 8)
        self.assertTrue((masks.sum(1) == 3).all() and (masks.sum(2) == 3).all())
        self.assertGreater(len(np.unique(masks, axis=0)), 15)

    def test_approximations_are_feasible_and_within_their_factors(self):
        total, best = tiny(500).sum((1, 2)), optima(tiny(500), 2)
        greedy = simple_peers.greedy(tiny(500), 2)
        doubled = simple_peers.two_approximation(tiny(500), 2)
        for mask in (greedy, doubled, simple_peers.row_then_column(tiny(500), 2)):
            self.assertTrue((mask.sum(1) <= 2).all() and (mask.sum(2) <= 2).all())
        self.assertTrue(((tiny(500) * greedy).sum((1, 2)) >= best / 2).all())
        self.assertTrue((total - (tiny(500) * doubled).sum((1, 2)) <= 2 * (total - best) + 1e-5).all())


class Published(unittest.TestCase):
    def test_the_plan_obeys_rows_columns_and_capacities(self):
        plan = np.exp(published.entropic_plan(tiny(m=8), 4, published.Parameters(iterations=3000, tau=0.1)))
        np.testing.assert_allclose(plan.sum(1), 4, atol=0.02)
        np.testing.assert_allclose(plan.sum(2), 4, atol=0.02)
        self.assertLessEqual(plan.max(), 1)

    def test_a_swap_fills_what_greedy_left(self):
        importance = np.float32([[[9, 8, 0], [8, 0, 1], [0, 1, 7]]])
        mask = np.array([[[1, 0, 0], [0, 0, 0], [0, 0, 1]]], bool)  # row 1 and column 1 are empty: 16 - 9 is gained
        published.swap_once(importance, mask, 1)
        np.testing.assert_array_equal(mask[0], [[0, 1, 0], [1, 0, 0], [0, 0, 1]])

    def test_no_swap_that_loses(self):
        importance = np.float32([[[9, 1], [1, 0]]])
        mask = np.array([[[1, 0], [0, 0]]])
        published.swap_once(importance, mask, 1)
        np.testing.assert_array_equal(mask[0], [[1, 0], [0, 0]])

    def test_it_comes_close_to_the_optimum(self):
        mask = published.published_mask(tiny(200), 2)
        kept, best = (tiny(200) * mask).sum(), optima(tiny(200), 2).sum()
        self.assertTrue((mask.sum(1) <= 2).all() and (mask.sum(2) <= 2).all())
        self.assertGreater(kept, 0.99 * best)

    def test_its_parts_are_feasible(self):
        weights = matrix_of(tiny(m=8), 16, 24)
        for method in ablations():
            solve = method.prepare(ProblemOf8())
            mask = solve(weights)
            self.assertEqual(checker.violations(mask, 4, 8, "at_most"), 0, method.name)


class ProblemOf8:
    n, m = 4, 8


class Rings(unittest.TestCase):
    def test_buffers_come_in_turn(self):
        ring = Ring(["a", "b"])
        self.assertEqual([ring.next() for _ in range(3)], ["a", "b", "a"])

    def test_methods_return_bytes_of_the_matrix(self):
        call = array_method("greedy", "at_most", simple_peers.greedy).prepare(ProblemOf8())
        mask = call(-matrix_of(tiny(m=8), 16, 24))
        self.assertEqual((mask.shape, mask.dtype), ((16, 24), np.uint8))
        self.assertGreater(mask.sum(), 150)


class Data(unittest.TestCase):
    def test_the_real_matrix_is_repeated(self):
        large = data.real(1088)
        np.testing.assert_array_equal(large[1024:, 1024:], large[:64, :64])

    def test_weights_are_the_same_each_time(self):
        np.testing.assert_array_equal(data.gaussian(64), data.gaussian(64))


def row(method, milliseconds, value, ours=False, **more):
    base = {"experiment": "speed", "pattern": "4:8", "output": "mask", "violations": 0}
    return base | {"method": method, "milliseconds": milliseconds, "value": value, "ours": ours} | more


class Check(unittest.TestCase):
    ours = row("tsenor_optimal", 1.0, 100.0, ours=True)

    def test_slower_or_worse_peers_are_fine(self):
        peers = [row("slow", 2.0, 100.0), row("worse", 0.1, 99.0), row("other", 0.1, 100.0, pattern="2:4")]
        self.assertEqual(check.complaints([self.ours, *peers]), [])

    def test_a_faster_peer_of_equal_quality_is_named(self):
        self.assertIn("fast", check.complaints([self.ours, row("fast", 0.9, 100.0)])[0])

    def test_a_peer_that_keeps_more_than_the_optimum_is_named(self):
        self.assertIn("no call that keeps as much", check.complaints([self.ours, row("more", 9.0, 101.0)])[0])

    def test_broken_masks_and_failed_calls_are_named(self):
        rows = [self.ours | {"violations": 3}, {"experiment": "errors", "method": "x", "ours": True, "failed": "why"}]
        self.assertEqual(len(check.complaints(rows)), 2)

    def test_nothing_timed_is_no_success(self):
        self.assertEqual(len(check.complaints([])), 1)


class CommandLine(unittest.TestCase):
    def test_patterns(self):
        self.assertEqual(cli.pattern("8:16"), (8, 16))
        for text in ("9:8", "0:8", "8", "8:65", "1:1"):
            self.assertRaises(cli.argparse.ArgumentTypeError, cli.pattern, text)


def run():
    """0 if all pass."""
    tests = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    return 0 if unittest.TextTestRunner(verbosity=1).run(tests).wasSuccessful() else 1
