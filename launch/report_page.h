// report.html: one self-contained page of charts, tables and pictures, for a browser without
// network. Pure: knows nothing of runs. The template is figures/report.html; Chart.js is inside the
// program.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "launch/figures/colour.h"

namespace elbow::launch {

struct PageSeries {
  std::string name;
  std::vector<double> x;
  std::vector<double> y;  // what is not finite is a gap
  figures::Colour colour;
  bool dashed = false;
};

struct PageChart {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<PageSeries> series;
};

// The first cell of a row, and of the header, names the row.
struct PageTable {
  std::string title;
  std::vector<std::string> header;  // empty: none
  std::vector<std::vector<std::string>> rows;
  bool folded = false;    // shown when asked for
  bool sortable = false;  // by a click on a column's header
  // By row: where its first cell leads, relative to the page; "" or none: nowhere.
  std::vector<std::string> links{};
};

struct PagePicture {
  std::string name;  // below it; "" leaves it out
  std::string png;
  double width = 0;  // on the screen, in pixels, where there is room
};
struct PagePictures {
  std::string caption;
  std::vector<PagePicture> pictures;
};

struct ReportPage {
  std::string title;
  std::vector<std::string> summary;  // sentences
  std::vector<PageChart> charts;
  std::vector<PageTable> tables;
  std::vector<PagePictures> pictures;
};

// Texts may hold any bytes: they are escaped, and what is not UTF-8 is replaced.
std::string html_of(const ReportPage& page);

std::string base64_of(std::string_view bytes);

}  // namespace elbow::launch
