// What the demo model makes of the sample recording: what the first run of the program shows.
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bridge/in_process_service.h"
#include "pipeline/observations.h"
#include "pipeline/summary.h"
#include "support/demo_model.h"

namespace escribano {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DemoSummary : public ::testing::Test {
 protected:
  static Artefact of_sample(ArtefactFormat format) {
    bridge::InProcessService llm(start_demo_engine(1, 4096));
    RecordingInfo info{.path = "session-a.mp4", .duration_s = sample_duration_s()};
    const Result<Artefact> artefact = summarise(sample_segments(), info, llm, {.format = format, .model = "demo"});
    if (!artefact) throw std::runtime_error(artefact.error().message);
    if (std::getenv("ESCRIBANO_SHOW") != nullptr) std::puts(artefact->text.c_str());
    return *artefact;
  }
};

TEST_F(DemoSummary, TheCardIsTheModelsAndHasEverySpan) {
  const Artefact card = of_sample(ArtefactFormat::card);
  EXPECT_EQ(card.model, "demo");
  EXPECT_THAT(card.notes, IsEmpty());
  for (const TruthSpan& span : sample_truth()) {
    EXPECT_THAT(card.text, HasSubstr(span.activity + " in " + span.app + " on " + span.project)) << card.text;
  }
}

// The demo model was not trained for these, and the user must not see what it then says.
TEST_F(DemoSummary, OtherFormsSayOnlyWhatTheSegmentsSayAndNothingIsMissing) {
  for (const ArtefactFormat format : {ArtefactFormat::standup, ArtefactFormat::narrative}) {
    const Artefact artefact = of_sample(format);
    for (const TruthSpan& span : sample_truth()) {
      EXPECT_THAT(artefact.text, HasSubstr(span.app)) << artefact.text;
      EXPECT_THAT(artefact.text, HasSubstr(span.project));
    }
  }
}

}  // namespace
}  // namespace escribano
