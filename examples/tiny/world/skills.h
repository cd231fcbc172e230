// SPDX-License-Identifier: Apache-2.0
// The new skills: names of species, counting, handwritten digits; of the study also words and clocks.
#pragma once
#include <array>
#include <string_view>
#include <vector>

#include "examples/tiny/world/digits.h"
#include "examples/tiny/world/questions.h"

namespace retain::tiny {

/// A species is a shape in a colour: name 4·shape + colour, of the first four of each.
inline constexpr std::array<std::string_view, 16> kSpecies{"dax",  "wug",  "blick", "fep",  "toma", "gorp",
                                                           "zib",  "kiki", "bouba", "lorp", "vim",  "nust",
                                                           "pell", "quab", "rill",  "snep"};
inline constexpr std::array<std::string_view, 10> kNumbers{"zero", "one", "two",   "three", "four",
                                                           "five", "six", "seven", "eight", "nine"};

enum class Split { train, test };

/// A picture with one exchange about it.
struct Example {
  Picture picture;
  Exchange exchange;
};

Example species_example(Random& random);
/// One to four objects of one shape and colour, big or small.
Example count_example(Random& random);
/// A digit in one cell, written in the ink of some colour.
Example digit_example(Random& random, const std::vector<Digit>& digits, Split split);
/// A word of two letters, written from left to right in the cells of the middle row.
Example word_example(Random& random);
/// A dial over the whole picture: a short red hand at one of twelve hours, a long white one at a quarter.
Example clock_example(Random& random);

}  // namespace retain::tiny
