// Writes the page of the sample report, to look at while the page is worked on: write_sample_report FILE [FRAMES].
// With FRAMES it has that many frames with pictures, to see that a long recording stays usable.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/file.h"
#include "report/report.h"
#include "report/sample_report.h"

int main(int count, char** arguments) {
  using namespace escribano;
  if (count < 2) {
    std::fprintf(stderr, "usage: write_sample_report FILE [FRAMES]\n");
    return 2;
  }
  const Report report = count > 2 ? long_report(std::strtoul(arguments[2], nullptr, 10)) : sample_report();
  if (const Status written = write_file_atomically(arguments[1], to_html(report)); !written) {
    std::fprintf(stderr, "%s\n", written.error().message.c_str());
    return 1;
  }
  return 0;
}
