// From a tile_picture to SVG: plain shapes and presentation attributes, which every viewer knows.
#include <sstream>

#include "picture.hpp"
#include "print.hpp"

namespace tool {
namespace {

constexpr int cell = 20, margin = 28, gap = 24, top = 44, bottom = 34;  // pixels
constexpr const char* ink = "#24292f";
constexpr const char* blue = "#0a5cad";
constexpr const char* orange = "#d9730d";

// Any text as XML text. U+FFFE and U+FFFF, which XML does not know, become U+FFFD.
std::string xml_text(const std::string& text) {
  std::string result;
  for (const char c : escaped(text)) {
    if (c == '&')
      result += "&amp;";
    else if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else if ((c == '\xbe' || c == '\xbf') && result.size() >= 2 && result.substr(result.size() - 2) == "\xef\xbf")
      result += '\xbd';
    else
      result += c;
  }
  return result;
}

void draw_text(std::ostream& out, int x, int y, const std::string& text, const char* attributes = "") {
  out << "<text x=\"" << x << "\" y=\"" << y << "\"" << attributes << ">" << xml_text(text) << "</text>\n";
}

// Opens a group of cells: in it a unit is a cell.
void begin_cells(std::ostream& out, const char* name, const char* style) {
  out << "<g class=\"" << name << "\" transform=\"translate(0 " << top << ") scale(" << cell << ")\" " << style
      << ">\n";
}

// Cells shaded by values from 0 to 1.
template <class Value>
void draw_shades(std::ostream& out, const tile_picture& p, const std::vector<Value>& values, const char* name,
                 const char* colour) {
  begin_cells(out, name, ("fill=\"" + std::string(colour) + "\"").c_str());
  for (int i = 0; i < p.rows; ++i)
    for (int j = 0; j < p.cols; ++j)
      out << "<rect x=\"" << j << "\" y=\"" << i << "\" width=\"1\" height=\"1\" fill-opacity=\""
          << fixed(values[i * p.cols + j], 2) << "\"/>\n";
  out << "<rect width=\"" << p.cols << "\" height=\"" << p.rows << "\" fill=\"none\" stroke=\"" << ink
      << "\" stroke-width=\"0.04\"/>\n</g>\n";
}

// A frame inside every kept cell.
void draw_marks(std::ostream& out, const tile_picture& p) {
  begin_cells(out, "kept", ("fill=\"none\" stroke-width=\"0.14\" stroke=\"" + std::string(orange) + "\"").c_str());
  for (int i = 0; i < p.rows; ++i)
    for (int j = 0; j < p.cols; ++j)
      if (p.mask[i * p.cols + j])
        out << "<rect x=\"" << fixed(j + 0.12, 2) << "\" y=\"" << fixed(i + 0.12, 2)
            << "\" width=\"0.76\" height=\"0.76\"/>\n";
  out << "</g>\n";
}

// Sums of rows at the right, of columns at the bottom; those that are not N in bold.
template <class Value>
void draw_sums(std::ostream& out, const tile_picture& p, const std::vector<Value>& values, const char* name,
               int digits) {
  std::vector<double> row(p.rows), col(p.cols);
  for (int i = 0; i < p.rows; ++i)
    for (int j = 0; j < p.cols; ++j) {
      row[i] += values[i * p.cols + j];
      col[j] += values[i * p.cols + j];
    }
  const std::string n = fixed(p.pattern.n, digits);
  const auto style = [&](const std::string& sum) { return sum == n ? "" : " font-weight=\"bold\""; };
  out << "<g class=\"" << name << "\" font-size=\"10\" text-anchor=\"middle\">\n";
  for (int i = 0; i < p.rows; ++i) {
    const std::string sum = fixed(row[i], digits);
    draw_text(out, p.cols * cell + margin / 2, top + i * cell + 14, sum, style(sum));
  }
  for (int j = 0; j < p.cols; ++j) {
    const std::string sum = fixed(col[j], digits);
    draw_text(out, j * cell + cell / 2, top + p.rows * cell + 14, sum, style(sum));
  }
  out << "</g>\n";
}

void begin_panel(std::ostream& out, const tile_picture& p, int index, const std::string& title) {
  out << "<g transform=\"translate(" << gap + index * (p.cols * cell + margin + gap) << " 0)\">\n";
  draw_text(out, 0, top - 8, title);
}

std::string heading(const tile_picture& p, const selected_tensor& t, const settings& s) {
  const std::string where = std::to_string(s.picture->row) + "," + std::to_string(s.picture->col);
  return t.tensor.name + ", tile " + where + ": the mask keeps " + fixed(100 * p.kept, 2) + " % of the importance";
}

}  // namespace

std::string svg_of(const tile_picture& p, const selected_tensor& t, const settings& s) {
  const int width = gap + 3 * (p.cols * cell + margin + gap), height = top + p.rows * cell + bottom;
  const std::string pattern = text_of(t.pattern);
  std::ostringstream out;
  out << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << width << "\" height=\"" << height
      << "\" font-family=\"sans-serif\" font-size=\"11\" fill=\"" << ink << "\">\n<title>" << xml_text(heading(p, t, s))
      << "</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n";
  draw_text(out, gap, 16, heading(p, t, s));
  begin_panel(out, p, 0, std::string("importance: ") + name_of(s.importance));
  draw_shades(out, p, p.importance, "importance", blue);
  out << "</g>\n";
  begin_panel(out, p, 1, "entropic plan, and its sums");
  draw_shades(out, p, p.plan, "plan", orange);
  draw_sums(out, p, p.plan, "plan-sums", 1);
  out << "</g>\n";
  begin_panel(
      out, p, 2,
      std::string(name_of(s.methods.front().method)) + ", " + name_of(s.methods.front().constraint) + " " + pattern);
  draw_shades(out, p, p.importance, "importance", blue);
  draw_marks(out, p);
  draw_sums(out, p, p.mask, "counts", 0);
  out << "</g>\n</svg>\n";
  return out.str();
}

}  // namespace tool
