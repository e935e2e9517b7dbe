// Package documents checks what people read: the words in documents, comments, messages and names, the links between pages,
// and the form of a page. What comes in is the files of the repository and the lists beside this file. It runs nothing and
// changes nothing.
//
//   - words.txt has the words to avoid, and the better ones.
//   - exceptions.txt has the places where such a word is right.
package documents
