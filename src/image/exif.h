#pragma once

#include <cstddef>
#include <span>

namespace escribano {

// The orientation, 1 to 8 as the EXIF standard numbers them, of an EXIF block: a TIFF header ("II*\0" or "MM\0*") and the
// directories behind it, with or without the "Exif\0\0" that JPEG puts in front. 1 (upright) when the block has no
// orientation or is damaged: a picture is not refused for its metadata. Reads only the first directory.
int exif_orientation(std::span<const std::byte> block) noexcept;

}  // namespace escribano
