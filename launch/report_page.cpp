#include "launch/report_page.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>

extern "C" {
extern const char elbow_report_template_begin[], elbow_report_template_end[];
extern const char elbow_chart_js_begin[], elbow_chart_js_end[];
}

namespace elbow::launch {
namespace {

using Json = nlohmann::ordered_json;

std::string escaped(std::string_view text) {
  std::string html;
  for (const char c : text) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      default:
        html += c;
    }
  }
  return html;
}

// As the text of a <script>: "</script>" within a string must not end it.
std::string script_text(const Json& json) {
  auto text = json.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
  for (size_t at = 0; (at = text.find('<', at)) != text.npos; ++at) text.replace(at, 1, "\\u003c");
  return text;
}

Json numbers(const std::vector<double>& values) {
  auto list = Json::array();
  for (const double value : values) list.push_back(std::isfinite(value) ? Json(value) : Json());
  return list;
}

Json charts_json(const std::vector<PageChart>& charts) {
  auto all = Json::array();
  for (const auto& chart : charts) {
    Json one = {{"title", chart.title}, {"x", chart.x_label}, {"y", chart.y_label}};
    one["series"] = Json::array();
    for (const auto& series : chart.series) {
      one["series"].push_back({{"name", series.name},
                               {"x", numbers(series.x)},
                               {"y", numbers(series.y)},
                               {"colour", figures::hex(series.colour).text},
                               {"dashed", series.dashed}});
    }
    all.push_back(std::move(one));
  }
  return all;
}

std::string chart_places(const std::vector<PageChart>& charts) {
  std::string html;
  for (const auto& chart : charts) {
    html += fmt::format(
        "<figure class=\"chart\"><figcaption>{0}</figcaption><div><canvas role=\"img\" "
        "aria-label=\"{0}\"></canvas></div></figure>\n",
        escaped(chart.title));
  }
  return html;
}

std::string cell_html(const char* kind, const std::string& text, const std::string& link) {
  if (link.empty()) return fmt::format("<{0}>{1}</{0}>", kind, escaped(text));
  return fmt::format("<{0}><a href=\"{2}\">{1}</a></{0}>", kind, escaped(text), escaped(link));
}

std::string row_html(const std::vector<std::string>& cells, const char* others,
                     const std::string& link = "") {
  std::string html = "<tr>";
  for (size_t i = 0; i < cells.size(); ++i)
    html += cell_html(i == 0 ? "th" : others, cells[i], i == 0 ? link : "");
  return html + "</tr>\n";
}

std::string table_html(const PageTable& table) {
  std::string rows;
  if (!table.header.empty()) rows += "<thead>" + row_html(table.header, "th") + "</thead>";
  for (size_t i = 0; i < table.rows.size(); ++i)
    rows += row_html(table.rows[i], "td", i < table.links.size() ? table.links[i] : "");
  return fmt::format(
      "<section{}><details{}><summary>{}</summary><div class=\"scroll\"><table{}>{}</table></div>"
      "</details></section>\n",
      table.sortable ? " class=\"wide\"" : "", table.folded ? "" : " open", escaped(table.title),
      table.sortable ? " class=\"sortable\"" : "", rows);
}

// One picture's caption is as wide as the picture; several stand in rows.
std::string pictures_html(const PagePictures& group) {
  const bool alone = group.pictures.size() == 1;
  std::string html =
      fmt::format("<figure class=\"pictures\"{}><figcaption>{}</figcaption><div>\n",
                  alone ? fmt::format(" style=\"width:{:.0f}px\"", group.pictures[0].width) : "",
                  escaped(group.caption));
  for (const auto& picture : group.pictures) {
    html += fmt::format(
        "<div><img alt=\"{0}\" loading=\"lazy\" style=\"width:{1:.0f}px\" "
        "src=\"data:image/png;base64,{2}\">{3}</div>\n",
        escaped(picture.name.empty() ? group.caption : picture.name), picture.width,
        base64_of(picture.png),
        picture.name.empty() ? "" : "<small>" + escaped(picture.name) + "</small>");
  }
  return html + "</div></figure>\n";
}

// Replaces each {{name}} of the template. What is put in is not looked at again.
std::string filled(std::string_view text,
                   const std::vector<std::pair<std::string_view, std::string>>& parts) {
  std::string page;
  while (true) {
    const auto begin = text.find("{{");
    if (begin == text.npos) return page += text;
    const auto end = text.find("}}", begin);
    page += text.substr(0, begin);
    for (const auto& [name, content] : parts)
      if (name == text.substr(begin + 2, end - begin - 2)) page += content;
    text.remove_prefix(end + 2);
  }
}

}  // namespace

std::string html_of(const ReportPage& page) {
  std::string summary, tables, pictures;
  for (const auto& sentence : page.summary)
    summary += fmt::format("<p>{}</p>\n", escaped(sentence));
  for (const auto& table : page.tables) tables += table_html(table);
  for (const auto& group : page.pictures) pictures += pictures_html(group);
  return filled({elbow_report_template_begin, elbow_report_template_end},
                {{"title", escaped(page.title)},
                 {"summary", summary},
                 {"charts", chart_places(page.charts)},
                 {"tables", tables},
                 {"pictures", pictures},
                 {"data", script_text(charts_json(page.charts))},
                 {"chart_js", {elbow_chart_js_begin, elbow_chart_js_end}}});
}

std::string base64_of(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](size_t at) {
      return at < bytes.size() ? static_cast<uint32_t>(static_cast<uint8_t>(bytes[at])) : 0U;
    };
    const uint32_t group = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    text += kDigits[group >> 18];
    text += kDigits[group >> 12 & 63];
    text += i + 1 < bytes.size() ? kDigits[group >> 6 & 63] : '=';
    text += i + 2 < bytes.size() ? kDigits[group & 63] : '=';
  }
  return text;
}

}  // namespace elbow::launch
