"""Makes a set of documents to be searched, of documentation as HTML: PDFs and Markdown by turns, and questions about them.

    pip install fpdf2
    python bench/documents.py SOURCE TARGET [--files 500] [--questions 50]

Sections whose heading is a question become documents of their own, without the heading. TARGET/questions.json says which
question each of them answers. Pages are cut where they are long, so that many of them fit into one measurement.
"""
import argparse
import html
import json
import pathlib
import re

from fpdf import FPDF

MIN_ANSWER = 200
MAX_PAGE = 6_000

parser = argparse.ArgumentParser()
parser.add_argument('source', type=pathlib.Path)
parser.add_argument('target', type=pathlib.Path)
parser.add_argument('--files', type=int, default=500)
parser.add_argument('--questions', type=int, default=50)
options = parser.parse_args()


def plain(markup):
    """The text of HTML, with a line for each block."""
    markup = re.sub(r'(?is)<(script|style|head|nav)\b.*?</\1>', ' ', markup)
    markup = re.sub(r'(?i)</(p|div|li|h[1-6]|pre|dt|dd|tr|section)>|<br\s*/?>', '\n', markup)
    text = html.unescape(re.sub(r'<[^>]+>', '', markup)).replace('¶', '')
    return re.sub(r'\n\s*\n\s*', '\n\n', re.sub(r'[^\S\n]+', ' ', text)).strip()


def as_pdf(text, path):
    pdf = FPDF()
    pdf.set_font('Helvetica', size=10)
    pdf.add_page()
    # The fonts that every reader has know no more.
    pdf.multi_cell(0, 5, text.encode('latin-1', 'replace').decode('latin-1'))
    pdf.output(str(path))


pages, questions = [], []
for source in sorted(options.source.rglob('*.html')):
    body = re.sub(r'(?is)^.*?<body[^>]*>', '', source.read_text('utf-8', 'replace'))
    rest = []
    for section in re.split(r'(?i)(?=<h[1-4][\s>])', body):
        head = re.match(r'(?is)<h[1-4].*?</h[1-4]>', section)
        question = plain(head[0]) if head else ''
        answer = plain(section[head.end():]) if head else ''
        if question.endswith('?') and len(answer) >= MIN_ANSWER:
            questions.append((re.sub(r'^[\d.]+ ', '', question), answer))
        else:
            rest.append(section)
    text = plain('\n'.join(rest))
    if text:
        pages.append(text[:MAX_PAGE])

step = max(1, len(questions) // options.questions)
chosen = questions[::step][:options.questions]
documents = [answer for _, answer in chosen] + pages[:options.files - len(chosen)]
options.target.mkdir(parents=True, exist_ok=True)
asked = []
for number, text in enumerate(documents):
    name = f'document-{number:03}.{"pdf" if number % 2 else "md"}'
    if number % 2:
        as_pdf(text, options.target / name)
    else:
        (options.target / name).write_text(text, 'utf-8')
    if number < len(chosen):
        asked.append({'question': chosen[number][0], 'file': name})
(options.target / 'questions.json').write_text(json.dumps(asked, indent=1), 'utf-8')
print(f'{len(documents)} documents, {len(asked)} questions')
