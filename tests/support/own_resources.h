#pragma once

#include <cstddef>

namespace escribano {

// What the process of a test has open: counted at the start of the test, and again at its end.
class OwnResources {
 public:
  OwnResources();
  // Fails the test if a child, a descriptor or a thread is left.
  void expect_unchanged() const;

 private:
  std::ptrdiff_t descriptors_ = 0;
  std::ptrdiff_t threads_ = 0;
};

}  // namespace escribano
