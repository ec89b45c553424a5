#include "launch/report_page.h"

#include <gmock/gmock.h>

#include <cmath>

namespace elbow::launch {
namespace {

using testing::HasSubstr;
using testing::Not;

ReportPage some_page() {
  return {.title = "a & b </script><script>alert(1)</script>",
          .summary = {"after 3 epochs <b>"},
          .charts = {{.title = "loss </script>",
                      .series = {{.name = "train \xff", .x = {1, 2}, .y = {0.5, std::nan("")}}}}},
          .tables = {{.title = "results", .header = {"", "test"}, .rows = {{"kl_nats", "7.5"}}}},
          .pictures = {{.caption = "posterior", .pictures = {{.png = "\x89PNG", .width = 300}}}}};
}

TEST(ReportPage, HoldsChartsTablesAndPictures) {
  const auto html = html_of(some_page());
  EXPECT_THAT(html, HasSubstr("<tr><th>kl_nats</th><td>7.5</td></tr>"));
  EXPECT_THAT(html, HasSubstr("data:image/png;base64,iVBORw=="));
  EXPECT_THAT(html, HasSubstr("\"y\":[0.5,null]"));
  EXPECT_THAT(html, HasSubstr("Chart.js v"));
  EXPECT_THAT(html, Not(HasSubstr("{{title"))) << "every place of the template is filled";
}

TEST(ReportPage, AsksForNothingFromElsewhere) {
  const auto html = html_of(some_page());
  for (const char* address : {"src=\"http", "href=", "src=\"//", "@import", "url("})
    EXPECT_THAT(html, Not(HasSubstr(address)));
}

TEST(ReportPage, TextsCannotBreakOutOfTheirPlace) {
  const auto html = html_of(some_page());
  EXPECT_THAT(html, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(html, HasSubstr("a &amp; b &lt;/script&gt;"));
  EXPECT_THAT(html, HasSubstr("loss \\u003c/script>"));
}

TEST(ReportPage, Base64PadsToFours) {
  EXPECT_EQ(base64_of(""), "");
  EXPECT_EQ(base64_of("f"), "Zg==");
  EXPECT_EQ(base64_of("fo"), "Zm8=");
  EXPECT_EQ(base64_of("foo"), "Zm9v");
  EXPECT_EQ(base64_of("\xff\xfe\xfd"), "//79");
}

}  // namespace
}  // namespace elbow::launch
