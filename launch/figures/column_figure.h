// Images in columns that have a title each, such as what is given, samples, and the truth.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "launch/figures/canvas.h"
#include "launch/figures/image_figures.h"

namespace elbow::launch::figures {

// Neighbouring columns under one title.
struct ColumnGroup {
  std::string title;
  at::Tensor images;  // [rows, columns, height * width * channels], 0 to 1 (cut off outside)
};

// The groups from left to right; all have the same number of rows.
Figure column_figure(const std::vector<ColumnGroup>& groups, const ImageShape& shape,
                     const std::string& title);

}  // namespace elbow::launch::figures
