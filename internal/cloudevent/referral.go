package cloudevent

import "github.com/tiktok-operator/tiktok-operator/internal/tiktok"

func fillReferral(d *Data, c content) {
	fillCommon(d, c)
	r := c.Referral
	if r == nil || *r == (tiktok.Referral{}) {
		return
	}
	d.Referral = &Referral{Source: r.Source}
	if a := r.Ad; a != nil {
		d.Referral.Ad = &ReferralAd{
			AdvertiserID: a.AdvertiserID, AdID: a.AdID, AdName: a.AdName, Time: timeOf(a.Timestamp), EmbedURL: a.EmbedURL,
			MessageMaterialID: a.MessageMaterialID,
		}
	}
	if l := r.ShortLink; l != nil {
		d.Referral.ShortLink = &ReferralShortLink{
			Ref: l.Ref, PrefilledMessage: l.PrefilledMessage, PrefilledMessageAuditStatus: l.PrefilledMessageAuditStatus,
		}
	}
}

func fillComment(d *Data, c content) {
	fillCommon(d, c)
	d.CommentID, d.CommentText = c.CommentID, c.CommentText
}
