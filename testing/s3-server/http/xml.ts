/** XML in both directions: S3's documents out, the few request documents in. */
import { XMLBuilder, XMLParser, XMLValidator } from 'fast-xml-parser';
import { S3Error } from './errors.ts';

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';

/** A node to write: text, a group of named children, or a list that repeats its element. Undefined is left out. */
export type XmlNode =
  | string
  | number
  | boolean
  | undefined
  | readonly XmlNode[]
  | { readonly [name: string]: XmlNode };

// A parser turns a bare carriage return into a line feed, so both are written as character references.
const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\r': '&#13;',
  '\n': '&#10;',
};

function escapeText(text: string): string {
  return text.replace(/[&<>"\r\n]/g, (character) => ESCAPES[character] ?? character);
}

const builder = new XMLBuilder({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  processEntities: false,
  suppressEmptyNode: true,
  tagValueProcessor: (_name, value) => escapeText(String(value)),
});

/** Elements of request documents that there can be several of; one alone is a list too. */
const REPEATED: ReadonlySet<string> = new Set([
  'Part',
  'Object',
  'Rule',
  'Transition',
  'NoncurrentVersionTransition',
  'Tag',
]);

const parser = new XMLParser({
  ignoreAttributes: true,
  parseTagValue: false,
  // Keys may begin or end with spaces, and those count.
  trimValues: false,
  processEntities: true,
  // Without this the parser leaves numeric character references (`&#x0A;` in a key) as they are.
  htmlEntities: true,
  isArray: (name) => REPEATED.has(name),
});

/** Builds an S3 response document with the given root element in S3's namespace. */
export function buildDocument(root: string, content: { readonly [name: string]: XmlNode }): string {
  return buildPlainDocument(root, { '@xmlns': NAMESPACE, ...content });
}

/** Builds a document without a namespace, which is how S3 writes its errors. */
export function buildPlainDocument(root: string, content: { readonly [name: string]: XmlNode }): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${builder.build({ [root]: content })}`;
}

/**
 * Parses a request document and returns the content of its root element; every text stays a string.
 * @throws S3Error MalformedXML when it is not well-formed or has another root.
 */
export function parseDocument(text: string, root: string): unknown {
  const verdict = XMLValidator.validate(text);
  if (verdict !== true) {
    throw new S3Error('MalformedXML', { cause: verdict.err });
  }
  const parsed: unknown = parser.parse(text);
  if (typeof parsed !== 'object' || parsed === null || !(root in parsed)) {
    throw new S3Error('MalformedXML');
  }
  return (parsed as Readonly<Record<string, unknown>>)[root];
}
