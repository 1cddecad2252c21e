/** Listings, page by page. A server that says that there is more, but not where, would be asked for ever. */
import { ToolError } from '../../../core/errors.ts';

/**
 * Asks for page after page; each request gets the page before, which names where the next one begins.
 * @param what for messages: `list the backups`.
 * @param markerOf where a page says that the next one begins; empty when it does not say.
 * @throws ToolError when a page names no next page, or one that was named before.
 */
export async function* pagesOf<Page extends { readonly IsTruncated?: boolean | undefined }>(
  what: string,
  ask: (before: Page | undefined) => Promise<Page>,
  markerOf: (page: Page) => string | undefined,
): AsyncGenerator<Page, void> {
  const seen = new Set(['']);
  for (let page = await ask(undefined); ; page = await ask(page)) {
    yield page;
    if (page.IsTruncated !== true) return;
    const marker = markerOf(page) ?? '';
    if (seen.has(marker)) {
      throw new ToolError(`cannot ${what}: the server says that there are more, but not where they begin`, {
        hint: 'run again; if it persists, the server is broken or is not S3: check AWS_ENDPOINT_URL_S3',
      });
    }
    seen.add(marker);
  }
}
