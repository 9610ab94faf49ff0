#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace escribano::recording {

// From a high dynamic range to 8-bit sRGB, so that what an ordinary screen would show keeps its look.
enum class Transfer : std::uint8_t { pq, hlg };
enum class Primaries : std::uint8_t { bt709, p3, bt2020 };

// `coded` holds R'G'B' triples of 16 bits over the full range, `srgb` gets as many of 8 bits.
//
// 1. Light of a channel in nits: PQ by the EOTF of SMPTE ST 2084; HLG by the inverse OETF of ITU-R BT.2100, and its OOTF
//    for a display of 1,000 nits (gamma 1.2). Divided by the reference white of ITU-R BT.2408, 203 nits.
// 2. Primaries to those of sRGB by the matrix of linear light; what lies outside is clipped.
// 3. Shoulder: x up to 0.75, then 1 - 0.25 * exp(-(x - 0.75) / 0.25): dark and middle tones stay as they are, reference white
//    comes to 0.91, and what is brighter is told apart as long as 8 bits can.
// 4. The transfer function of sRGB, rounded.
void tone_map(std::span<const std::uint16_t> coded, Transfer transfer, Primaries primaries,
              std::span<std::uint8_t> srgb);

}  // namespace escribano::recording
