/// \file
/// A strict reader of the little XML that the tool writes: elements, quoted attributes, text, the predefined entities.
/// It refuses all else, so what it reads is well-formed.
#pragma once

#include <cctype>
#include <cstddef>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace tool_test {

struct xml_element {
  std::string name, text;  // all text directly inside
  std::map<std::string, std::string> attributes;
  std::vector<xml_element> children;

  double number(const std::string& attribute) const { return std::stod(attributes.at(attribute)); }
  /// All descendants of the name whose attribute has the value, in document order.
  std::vector<const xml_element*> find(const std::string& wanted, const std::string& key,
                                       const std::string& value) const {
    std::vector<const xml_element*> found;
    for (const xml_element& child : children) {
      const auto attribute = child.attributes.find(key);
      if (child.name == wanted && attribute != child.attributes.end() && attribute->second == value)
        found.push_back(&child);
      const auto below = child.find(wanted, key, value);
      found.insert(found.end(), below.begin(), below.end());
    }
    return found;
  }
};

class xml_reader {
 public:
  /// The document's one element. Throws std::runtime_error unless it is well-formed.
  static xml_element read(const std::string& text) {
    xml_reader reader(text);
    xml_element root = reader.element();
    reader.skip_space();
    reader.require(reader.at_ == text.size(), "something follows the document");
    return root;
  }

 private:
  explicit xml_reader(const std::string& text) : text_(text) {}

  void require(bool holds, const char* what) const {
    if (!holds) throw std::runtime_error(std::string(what) + " at " + std::to_string(at_));
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool skip(const std::string& token) {
    if (text_.compare(at_, token.size(), token) != 0) return false;
    at_ += token.size();
    return true;
  }
  void skip_space() {
    while (std::isspace(static_cast<unsigned char>(peek()))) ++at_;
  }
  std::string name() {
    const std::size_t begin = at_;
    while (std::isalnum(static_cast<unsigned char>(peek())) || peek() == '-') ++at_;
    require(at_ > begin, "no name");
    return text_.substr(begin, at_ - begin);
  }
  std::string characters(char end) {
    std::string result;
    while (peek() != end) {
      require(at_ < text_.size() && peek() != '<', "unclosed text");
      require(static_cast<unsigned char>(peek()) >= ' ' || peek() == '\n', "a control character");
      require(text_.compare(at_, 3, "\xef\xbf\xbe") != 0 && text_.compare(at_, 3, "\xef\xbf\xbf") != 0, "no character");
      if (peek() != '&')
        result += text_[at_++];
      else if (skip("&amp;"))
        result += '&';
      else if (skip("&lt;"))
        result += '<';
      else
        require(skip("&gt;"), "an unknown entity"), result += '>';
    }
    return result;
  }
  void read_attributes(xml_element& e) {
    for (skip_space(); peek() != '>' && peek() != '/'; skip_space()) {
      const std::string key = name();
      require(skip("=\""), "an attribute without a value");
      require(e.attributes.emplace(key, characters('"')).second, "an attribute twice");
      ++at_;
    }
  }
  xml_element element() {
    xml_element e;
    require(skip("<"), "no element");
    e.name = name();
    read_attributes(e);
    if (skip("/>")) return e;
    require(skip(">"), "an unclosed tag");
    while (true) {
      e.text += characters('<');
      if (text_.compare(at_, 2, "</") == 0) break;
      e.children.push_back(element());
    }
    require(skip("</" + e.name + ">"), "a tag that closes another");
    return e;
  }

  const std::string& text_;
  std::size_t at_ = 0;
};

}  // namespace tool_test
