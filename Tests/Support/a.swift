import NIOEmbedded

package enum SupportInfo {}
