"""The count of work in bench/work.py: python3 -B work_test.py MODEL.gguf MMPROJ.gguf, a pair of the tiny shape."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "bench"))
import random_model
import work


def shape_of(name):
    given = random_model.SHAPES[name]
    same = {field: given[field] for field in ("layers", "hidden", "heads", "kv_heads", "head_dim", "intermediate",
                                              "vocab", "vision_layers", "vision_hidden", "vision_intermediate",
                                              "max_pixels")}
    return work.Shape(**same, mergers=1 + len(given["deepstack"]))


class Work(unittest.TestCase):
    def test_two_billion_weights_are_counted(self):
        shape = shape_of("2b")
        weights = shape.layers * shape.layer_weights + shape.vocab * shape.hidden
        self.assertAlmostEqual(weights / 1e9, 1.72, places=2)  # norms left out

    def test_a_frame_of_1280x736_costs_what_is_known_of_it(self):
        shape = shape_of("2b")
        products, attention = work.vision_flop(shape, 3680)
        self.assertAlmostEqual(work.vision_blocks_flop(shape, 3680) / 1e12, 2.22, places=2)
        self.assertAlmostEqual(products / 1e12, 2.42, places=2)  # with the mergers
        self.assertAlmostEqual(attention / 1e12, 1.33, places=2)
        products, attention = work.prefill_flop(shape, 920)
        self.assertAlmostEqual(products / 1e12, 2.59, places=2)
        self.assertAlmostEqual(attention / 1e12, 0.10, places=2)

    def test_the_first_token_of_an_answer_costs_no_step(self):
        shape = shape_of("2b")
        self.assertEqual(work.decode_flop(shape, 1000, 1), (0, 0))
        self.assertEqual(work.decode_flop(shape, 1000, 2)[0], 2 * (28 * 50_331_648 + 2048 * 151_936))

    def test_a_step_for_four_answers_reads_the_weights_once(self):
        shape = work.dataclasses.replace(shape_of("2b"), decode_weight_bytes=3_441_397_760)
        keys_and_values = 2 * 2 * 8 * 128 * 28 * 1001
        self.assertEqual(work.decode_bytes(shape, 1000, 2, 1), 3_441_397_760 + keys_and_values)
        self.assertEqual(work.decode_bytes(shape, 1000, 2, 0.25), 860_349_440 + keys_and_values)

    def test_pictures_get_the_size_that_the_model_sees(self):
        shape = shape_of("2b")
        self.assertEqual(work.model_image_size(1280, 720, shape), (1280, 704))  # 22.5 tokens: halves go to even
        self.assertEqual(work.model_image_size(1280, 720, shape, 256), (672, 384))
        self.assertEqual(work.model_image_size(1280, 720, shape_of("demo")), (672, 384))
        self.assertEqual(work.model_image_size(100, 100, shape), (256, 256))

    def test_a_pair_of_files_says_its_shape(self):
        read = work.read_shape(*FILES)
        shape = shape_of("tiny")
        self.assertEqual(work.dataclasses.replace(read, decode_weight_bytes=0), shape)
        matrices = 2 * (shape.layers * shape.layer_weights + shape.vocab * shape.hidden)
        self.assertTrue(matrices < read.decode_weight_bytes < 1.01 * matrices, read.decode_weight_bytes)


if __name__ == "__main__":
    FILES = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1])
